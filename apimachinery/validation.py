"""The base of validations: a list of errors with lazily rendered paths, and checks of common fields.

Paths are tuples of names and indices (`("spec", "ports", 0, "name")`): cheap to pass along, rendered only when there is
something to report. A part that starts with "[" is a map key and is rendered as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from apimachinery import errors
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector
from apimachinery.model import Model, to_dict
from apimachinery.names import (
    dns_label_errors,
    dns_subdomain_errors,
    label_value_errors,
    length_errors,
    qualified_name_errors,
)

Path = tuple[str | int, ...]
IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
NameRule = Callable[[str], list[str]]

PROTOCOLS = ("SCTP", "TCP", "UDP")

NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than 0"
GREATER_THAN_ZERO = "must be greater than zero"
IMMUTABLE = "field is immutable"
PORT_RULE = "must be between 1 and 65535, inclusive"
IP_RULE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)
_CONFIG_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_ENV_NAME_RULE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_CONFIG_KEY_LIMIT = 253
_IP_LIMIT = 45  # characters of the longest address

_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+\Z")
_ENV_NAME = re.compile(r"[ -<>-~]+\Z")
_PERCENT = re.compile(r"[0-9]+%\Z")
_LABEL_KEY = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]\Z")
_LEADING_ZEROS = re.compile(r"(?<![^.])0+(?=[0-9])")
_URL_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+\Z")
_PORT_NAME = re.compile(r"[-a-z0-9]+\Z")


def render(path: Path) -> str:
    """("spec", "containers", 0, "name") -> "spec.containers[0].name"."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.startswith("["):
            text += part
        else:
            text += f".{part}" if text else part
    return text


class Errors(list[FieldError]):
    """A list of errors; each method adds what it finds."""

    def required(self, path: Path, detail: str = "") -> None:
        self.append(errors.required(render(path), detail))

    def invalid(self, path: Path, value: object, detail: str) -> None:
        self.append(errors.invalid(render(path), value, detail))

    def contradictory(self, path: Path, detail: str) -> None:
        """Adds an error about several members together, which quotes no value."""
        self.append(FieldError("FieldValueInvalid", render(path), f"Invalid value: {detail}"))

    def not_supported(self, path: Path, value: object, supported: Iterable[str]) -> None:
        self.append(errors.not_supported(render(path), value, supported))

    def duplicate(self, path: Path, value: object, detail: str = "") -> None:
        self._detailed(errors.duplicate(render(path), value), detail)

    def forbidden(self, path: Path, detail: str) -> None:
        self.append(errors.forbidden(render(path), detail))

    def not_found(self, path: Path, value: object, detail: str = "") -> None:
        self._detailed(errors.not_found(render(path), value), detail)

    def _detailed(self, error: FieldError, detail: str) -> None:
        self.append(replace(error, message=f"{error.message}: {detail}") if detail else error)

    def too_long(self, path: Path, limit: int) -> None:
        self.append(errors.too_long(render(path), limit))

    def too_many(self, path: Path, count: int, limit: int) -> None:
        text = f"Too many: {count}: must have at most {limit} items"
        self.append(FieldError("FieldValueTooMany", render(path), text))

    # -- whole checks

    def check_name(self, path: Path, value: str | None, rule: NameRule) -> None:
        """Requires a value that obeys `rule`."""
        if not value:
            self.required(path)
        else:
            self.check_messages(path, value, rule(value))

    def check_messages(self, path: Path, value: object, messages: Iterable[str]) -> None:
        for message in messages:
            self.invalid(path, value, message)

    def check_dns_label(self, path: Path, value: str) -> None:
        if not _DNS_LABEL.match(value):
            self.check_messages(path, value, dns_label_errors(value))

    def check_subdomain(self, path: Path, value: str | None) -> None:
        """Requires a DNS subdomain if there is a value."""
        if value and not _DNS_LABEL.match(value):
            self.check_messages(path, value, dns_subdomain_errors(value))

    def check_domain_path(self, path: Path, value: str, limit: int) -> None:
        """Requires a path with a domain before it, such as acme.io/foo."""
        domain, _, rest = value.partition("/")
        if not value:
            self.required(path)
        elif not domain or not rest:
            self.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
        else:
            self.check_messages(path, domain, dns_subdomain_errors(domain))
            if not _URL_PATH.match(rest):
                self.invalid(path, rest, f"Invalid path (regex used for validation is '{_URL_PATH.pattern[:-2]}')")
        if len(value.encode()) > limit:
            self.too_long(path, limit)

    def check_not_negative(self, path: Path, value: int | None) -> None:
        if value is not None and value < 0:
            self.invalid(path, value, NOT_NEGATIVE)

    def check_range(self, path: Path, value: int | None, low: int, high: int) -> None:
        if value is not None and not low <= value <= high:
            self.invalid(path, value, f"must be between {low} and {high}, inclusive")

    def check_port(self, path: Path, value: int) -> None:
        if not 1 <= value <= 65535:
            self.invalid(path, value, PORT_RULE)

    def check_port_or_name(self, path: Path, value: int | str) -> None:
        if isinstance(value, int):
            self.check_port(path, value)
        else:
            self.check_messages(path, value, port_name_errors(value))

    def check_one_of(self, path: Path, value: str | None, supported: Collection[str]) -> None:
        """Requires one of `supported`."""
        if value in supported:
            return
        if not value:
            self.required(path)
        else:
            self.not_supported(path, value, supported)

    def check_ip(self, path: Path, value: str) -> bool:
        """Requires an address in its usual form; tells whether it is one."""
        messages = ip_errors(value)
        self.check_messages(path, value, messages)
        return not messages

    def check_labels(self, path: Path, labels: Mapping[str, str] | None) -> None:
        if labels:
            for key, value in labels.items():
                if not _LABEL_KEY.match(key):
                    self.check_messages(path, key, qualified_name_errors(key))
                if value and not _LABEL_KEY.match(value):
                    self.check_messages(path, value, label_value_errors(value))

    def check_annotations(self, path: Path, annotations: Mapping[str, str] | None) -> None:
        for key in annotations or ():
            self.check_messages(path, key, qualified_name_errors(key.lower()))

    def check_selector(self, path: Path, selector: LabelSelector | None) -> None:
        if selector is None:
            return
        self.check_labels((*path, "matchLabels"), selector.matchLabels)
        for index, item in enumerate(selector.matchExpressions or ()):
            at = (*path, "matchExpressions", index)
            if item.operator in ("In", "NotIn"):
                if not item.values:
                    self.required((*at, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
            elif item.operator in ("Exists", "DoesNotExist"):
                if item.values:
                    self.forbidden(
                        (*at, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    )
            else:
                self.invalid((*at, "operator"), item.operator, "not a valid selector operator")
            self.check_messages((*at, "key"), item.key, qualified_name_errors(item.key))
            for number, value in enumerate(item.values or ()):
                self.check_messages((*at, "values", number), value, label_value_errors(value))

    def check_config_key(self, path: Path, key: str) -> None:
        if not _CONFIG_KEY.match(key) or len(key) > _CONFIG_KEY_LIMIT or key.startswith("."):
            self.check_messages(path, key, config_key_errors(key))

    def check_immutable(self, path: Path, value: object, old: object) -> None:
        if value != old:
            self.invalid(path, to_dict(value) if isinstance(value, Model) else value, IMMUTABLE)

    def check_int_or_percent(self, path: Path, value: int | str | None) -> None:
        if isinstance(value, str):
            if not _PERCENT.match(value):
                self.invalid(path, value, PERCENT_RULE)
        elif value is not None and value < 0:
            self.invalid(path, value, NOT_NEGATIVE)

    def check_at_most_all(self, path: Path, value: int | str | None) -> None:
        """Refuses a percentage over 100%."""
        if isinstance(value, str) and percent_of(value) > 100:
            self.invalid(path, value, "must not be greater than 100%")


def check_relative_path(errors: Errors, path: Path, value: str) -> None:
    """Requires a relative path that stays inside its folder."""
    if value.startswith("/"):
        errors.invalid(path, value, "must be a relative path")
    if ".." in value.split("/"):
        errors.invalid(path, value, "must not contain '..'")


def check_target_ip(errors: Errors, path: Path, value: str) -> None:
    """Refuses an address that traffic may not be sent to. Source: Kubernetes API reference, "EndpointAddress"."""
    address = _loose_ip(value)
    if address is None:
        errors.invalid(path, value, "must be a valid IP address")
        return
    if address.is_unspecified:
        errors.invalid(path, value, "may not be unspecified (0.0.0.0 or ::)")
    if address.is_loopback:
        errors.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        errors.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address.is_multicast and (address.version == 6 or value.startswith("224.0.0.")):
        errors.invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def config_key_errors(key: str) -> list[str]:
    """Checks a key of a ConfigMap or Secret, which becomes the name of a file."""
    messages = length_errors(key, _CONFIG_KEY_LIMIT)
    if not _CONFIG_KEY.match(key):
        messages.append(_CONFIG_KEY_RULE)
    elif key in (".", ".."):
        messages.append(f"must not be '{key}'")
    elif key.startswith(".."):
        messages.append("must not start with '..'")
    return messages


def env_name_errors(name: str) -> list[str]:
    return [] if _ENV_NAME.match(name) else [_ENV_NAME_RULE]


def port_name_errors(name: str) -> list[str]:
    """Checks an IANA service name: "http", "my-port-1"."""
    messages = length_errors(name, 15)
    if not _PORT_NAME.match(name):
        messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= char <= "z" for char in name):
        messages.append("must contain at least one letter (a-z)")
    if "--" in name:
        messages.append("must not contain consecutive hyphens")
    if name and (name[0] == "-" or name[-1] == "-"):
        messages.append("must not begin or end with a hyphen")
    return messages


def parse_ip(value: str) -> IPAddress | None:
    """Returns the address in its usual form; None for other text."""
    return _parse_ip(value) if len(value) <= _IP_LIMIT else None


@lru_cache(maxsize=4096)
def _parse_ip(value: str) -> IPAddress | None:
    try:
        return None if "%" in value else ip_address(value)
    except ValueError:
        return None


def ip_errors(value: str) -> list[str]:
    address = parse_ip(value)
    if address is None:
        return [IP_RULE if _loose_ip(value) is None else "must not have leading 0s"]
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def is_ip(value: str) -> bool:
    return parse_ip(value) is not None


def _loose_ip(value: str) -> IPAddress | None:
    """Parses an address whose numbers may begin with zeros, as upstream once took them."""
    address = parse_ip(value)
    return parse_ip(_LEADING_ZEROS.sub("", value)) if address is None else address


def is_cidr(value: str) -> bool:
    try:
        ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value


def ip_family(value: str) -> str:
    """Returns "IPv4", "IPv6", or "" if the text is not an address."""
    address = parse_ip(value)
    return "" if address is None else f"IPv{address.version}"


def percent_of(value: int | str | None) -> Fraction:
    """Returns the number of an int-or-percent: a count, or a percentage."""
    if isinstance(value, str):
        return Fraction(int(value[:-1])) if _PERCENT.match(value) else Fraction(1)
    return Fraction(value or 0)


def unique(items: Sequence[str]) -> bool:
    return len(set(items)) == len(items)
