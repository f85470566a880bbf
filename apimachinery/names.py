"""Rules for names, labels and annotations (RFC 1123 and Kubernetes' own "qualified names")."""

from __future__ import annotations

import random
import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_1035_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")

_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_1035_LABEL_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
    "regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_QUALIFIED_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def length_errors(value: str, limit: int, unit: str = "characters") -> list[str]:
    """Upstream says "characters" of names, and "bytes" of the keys and values of labels."""
    return [f"must be no more than {limit} {unit}"] if len(value) > limit else []


def dns_label_errors(value: str) -> list[str]:
    errors = length_errors(value, 63)
    if not _LABEL.match(value):
        errors.append("must not contain dots" if _SUBDOMAIN.match(value) else _LABEL_RULE)
    return errors


def dns_1035_label_errors(value: str) -> list[str]:
    """Checks a label that begins with a letter, as RFC 1035 has it."""
    return length_errors(value, 63) + ([] if _1035_LABEL.match(value) else [_1035_LABEL_RULE])


def dns_subdomain_errors(value: str, unit: str = "characters") -> list[str]:
    return length_errors(value, 253, unit) + ([] if _SUBDOMAIN.match(value) else [_SUBDOMAIN_RULE])


def wildcard_subdomain_errors(value: str) -> list[str]:
    """Checks a name such as *.example.com."""
    right = value.startswith("*.") and _SUBDOMAIN.match(value[2:])
    return length_errors(value, 253) + ([] if right else [_WILDCARD_RULE])


def qualified_name_errors(value: str) -> list[str]:
    """Checks the key of a label or annotation: "app" or "example.com/app"."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        hint = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {_QUALIFIED_RULE} {hint}"]
    errors = []
    if slash:
        if not prefix:
            errors.append("prefix part must be non-empty")
        else:
            errors += [f"prefix part {message}" for message in dns_subdomain_errors(prefix, "bytes")]
    if not name:
        return [*errors, "name part must be non-empty", f"name part {_QUALIFIED_RULE}"]
    errors += [f"name part {message}" for message in length_errors(name, 63, "bytes")]
    if not _QUALIFIED.match(name):
        errors.append(f"name part {_QUALIFIED_RULE}")
    return errors


def label_value_errors(value: str) -> list[str]:
    errors = length_errors(value, 63, "bytes")
    if value and not _QUALIFIED.match(value):
        errors.append(_VALUE_RULE)
    return errors


def path_segment_errors(value: str) -> list[str]:
    """Checks a name that only has to fit a URL path, such as those of RBAC."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in value]


_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: generated names spell no words


def random_suffix(length: int = 5) -> str:
    """Makes names differ, and keeps no secret: the fast generator, which each process seeds by itself."""
    return "".join(random.choices(_SUFFIX_ALPHABET, k=length))


def suffix_of(data: bytes) -> str:
    """One letter for each byte: a suffix that depends on `data` alone, for names that must come out equal again."""
    return "".join(_SUFFIX_ALPHABET[byte % len(_SUFFIX_ALPHABET)] for byte in data)


def generate_name(base: str) -> str:
    """`generateName` plus five random characters; the base is cut so that the name fits 63 characters."""
    return base[:58] + random_suffix()
