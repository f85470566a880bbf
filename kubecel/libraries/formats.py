"""Named formats: format.dns1123Label().validate("a b") -> optional(list of faults).

Source: Kubernetes documentation, "CEL in Kubernetes", "Kubernetes format library".
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from apimachinery.names import dns_label_errors, dns_subdomain_errors, label_value_errors, qualified_name_errors
from kubecel._times import parse_timestamp
from kubecel.functions import Library, per_character
from kubecel.types import Type
from kubecel.values import NONE, EvaluationError, Opaque, Optional

LIBRARY = Library("formats")


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class Format(Opaque):
    name: str
    faults: Callable[[str], list[str]]
    type: ClassVar[Type] = Type("kubernetes.NamedFormat")


def _prefix(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """The format of a `generateName`: the name that becomes of it is checked."""
    return lambda text: check(f"{text[:-1]}a" if text.endswith("-") else text)


def _holds(test: Callable[[str], object], fault: str) -> Callable[[str], list[str]]:
    def faults(text: str) -> list[str]:
        try:
            return [] if test(text) else [fault]
        except (ValueError, EvaluationError):
            return [fault]

    return faults


_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", re.ASCII)
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_dns_1035 = _holds(_DNS_1035.fullmatch, _DNS_1035_RULE)

FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": dns_label_errors,
    "dns1123Subdomain": dns_subdomain_errors,
    "dns1035Label": _dns_1035,
    "dns1123LabelPrefix": _prefix(dns_label_errors),
    "dns1123SubdomainPrefix": _prefix(dns_subdomain_errors),
    "dns1035LabelPrefix": _prefix(_dns_1035),
    "qualifiedName": qualified_name_errors,
    "labelValue": label_value_errors,
    "uri": _holds(lambda text: urlsplit(text).scheme or text.startswith("/"), "invalid URI for request"),
    "uuid": _holds(
        lambda text: re.fullmatch(r"[0-9a-fA-F-]{36}", text) and uuid.UUID(text), "does not match the UUID format"
    ),
    "byte": _holds(lambda text: base64.b64decode(text, validate=True) or True, "invalid base64"),
    "date": _holds(_DATE.fullmatch, "invalid date"),
    "datetime": _holds(parse_timestamp, "invalid datetime"),
}

for format_name, check in FORMATS.items():
    LIBRARY.add(f"format.{format_name}(): kubernetes.NamedFormat", lambda made=Format(format_name, check): made)


@LIBRARY("format.named(string): optional_type(kubernetes.NamedFormat)")
def named(name: str) -> Optional:
    return Optional(True, Format(name, FORMATS[name])) if name in FORMATS else NONE


@LIBRARY("kubernetes.NamedFormat.validate(string): optional_type(list(string))", cost=per_character(1))
def validate(value: Format, text: str) -> Optional:
    faults = value.faults(text)
    return Optional(True, faults) if faults else NONE
