"""The named formats of strings. A format that is not listed here allows every string.

Source: Kubernetes documentation, "Custom resources", "Validation".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from apimachinery.names import dns_label_errors, dns_subdomain_errors
from apimachinery.validation import is_cidr, parse_ip

Check = Callable[[str], bool]


def _matches(pattern: str) -> Check:
    compiled = re.compile(pattern + r"\Z")
    return lambda text: compiled.match(text) is not None


_HEX = "[0-9a-fA-F]"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME = re.compile(
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:z|[+-][0-9]{2}:[0-9]{2})\Z", re.IGNORECASE
)
_GO_DURATION = _matches(r"[-+]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_WORD_DURATION = _matches(
    r"\s*(?:[0-9]+\s*(?:nano|ns|micro|µs|us|milli|ms|second|sec|s|minute|min|m|hour|hr|h|day|d|week|wk|w)s?\s*)+"
)
_CARD = re.compile(
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])"
    r"[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})\Z"
)
_EMAIL = _matches(r"(?:[^<>@\s]+\s+)*<?(?:\"[^\"]+\"|[^\s@<>()\[\],;:\\\"]+)@[^\s@<>(),;:\\\"]+>?")
_RGB_PART = r"\s*(?:0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])\s*"


def _is_date(text: str) -> bool:
    if not _DATE.match(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    day, found, time = text.replace("t", "T", 1).partition("T")
    return bool(found) and _is_date(day) and _TIME.match(time) is not None


def _is_uri(text: str) -> bool:
    """Tells whether it is an absolute URI, or an absolute path."""
    if not text or any(char <= " " or char == "\x7f" for char in text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port  # a port that is not a number is an error
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _is_uuid(version: str = "") -> Check:
    if version in ("4", "5"):
        return _matches(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?{version}{_HEX}{{3}}-?[89abAB]{_HEX}{{3}}-?{_HEX}{{12}}")
    return _matches(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?{version or _HEX}{_HEX}{{3}}-?{_HEX}{{4}}-?{_HEX}{{12}}")


def _is_isbn(*lengths: int) -> Check:
    def check(text: str) -> bool:
        digits = re.sub(r"[\s-]", "", text)
        values = [10 if char in "xX" and index == 9 else int(char) if char.isascii() and char.isdigit() else -1
                  for index, char in enumerate(digits)]  # fmt: skip
        if len(digits) not in lengths or -1 in values:
            return False
        if len(digits) == 10:
            return sum((10 - index) * value for index, value in enumerate(values)) % 11 == 0
        return 10 not in values and sum((1, 3)[index % 2] * value for index, value in enumerate(values)) % 10 == 0

    return check


def _is_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]", "", text)
    if not _CARD.match(digits):
        return False
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_ip(version: int) -> Check:
    def check(text: str) -> bool:
        address = parse_ip(text)
        return address is not None and address.version == version

    return check


FORMATS: dict[str, Check] = {
    "bsonobjectid": _matches(rf"{_HEX}{{24}}"),
    "byte": _matches(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "cidr": is_cidr,
    "creditcard": _is_card,
    "date": _is_date,
    "datetime": _is_date_time,
    "duration": lambda text: _GO_DURATION(text) or _WORD_DURATION(text),
    "email": _EMAIL,
    "hexcolor": _matches(rf"#?(?:{_HEX}{{3}}|{_HEX}{{6}})"),
    "hostname": _matches(
        r"(?=.{1,255}\Z)[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*\.?"
    ),
    "ipv4": _is_ip(4),
    "ipv6": _is_ip(6),
    "isbn": _is_isbn(10, 13),
    "isbn10": _is_isbn(10),
    "isbn13": _is_isbn(13),
    "k8slongname": lambda text: not dns_subdomain_errors(text),
    "k8sshortname": lambda text: not dns_label_errors(text),
    "mac": _matches(
        rf"(?:{_HEX}{{2}}([:-])(?:{_HEX}{{2}}\1){{4}}{_HEX}{{2}}|{_HEX}{{2}}([:-])(?:{_HEX}{{2}}\2){{6}}{_HEX}{{2}}"
        rf"|{_HEX}{{4}}(?:\.{_HEX}{{4}}){{2,3}})"
    ),
    "password": lambda text: True,
    "rgbcolor": _matches(rf"rgb\({_RGB_PART},{_RGB_PART},{_RGB_PART}\)"),
    "ssn": _matches(r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}"),
    "uri": _is_uri,
    "uuid": _is_uuid(),
    "uuid3": _is_uuid("3"),
    "uuid4": _is_uuid("4"),
    "uuid5": _is_uuid("5"),
}

NUMBER_FORMATS = frozenset(("int32", "int64", "float", "double"))


def check_of(name: str) -> Check | None:
    """Returns the check of a string's format, however it is hyphenated; None for a format that is none."""
    return FORMATS.get(name.replace("-", ""))


def is_known(name: str) -> bool:
    return check_of(name) is not None or name in NUMBER_FORMATS
