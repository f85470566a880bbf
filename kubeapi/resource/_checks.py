"""The rules that the kinds of `resource.k8s.io` share: lists, names and parameters of drivers.

Source: Kubernetes API reference, group resource.k8s.io.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from apimachinery.names import dns_label_errors, dns_subdomain_errors
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.validation.storagevolumes import check_driver_name
from kubeapi.resource._devices import DeviceConfiguration

T = TypeVar("T")

MOST_ITEMS = 32  # requests, constraints, selectors and parameters of each place; attributes and capacities of a device
MOST_BYTES = 10 * 1024  # of an expression, and of what drivers get or tell
_LONGEST_ID = 32
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_IDENTIFIER_RULE = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)


def check_each(
    errors: Errors,
    path: Path,
    items: Sequence[T] | None,
    check: Callable[[Errors, Path, T], None],
    *,
    most: int | None = MOST_ITEMS,
    key: Callable[[T], Any] | None = None,
) -> None:
    """Checks the items of a list that isn't too long; those with the `key` of an earlier one are refused."""
    if not items:
        return
    if most is not None and len(items) > most:
        errors.too_many(path, len(items), most)
        return
    for index, item in enumerate(items):
        check(errors, (*path, index), item)
    seen = set[Any]()
    for index, value in enumerate(map(key, items) if key is not None else ()):
        if value in seen:
            errors.duplicate((*path, index), value)
        seen.add(value)


def check_label(errors: Errors, path: Path, value: str) -> None:
    errors.check_messages(path, value, dns_label_errors(value))


def check_pool_name(errors: Errors, path: Path, name: str) -> None:
    """Requires DNS subdomains with slashes between them."""
    if not name:
        errors.required(path)
        return
    if len(name) > 253:
        errors.too_long(path, 253)
    for part in name.split("/"):
        errors.check_messages(path, part, dns_subdomain_errors(part))


def check_qualified_name(errors: Errors, path: Path, name: str) -> None:
    """Requires an identifier, which may have a domain before it: "model" or "gpu.example.com/model"."""
    domain, slash, identifier = name.partition("/")
    if "/" in identifier:
        errors.invalid(path, name, "must not contain more than one slash")
        return
    if not slash:
        _check_identifier(errors, path, domain)
        return
    if not domain:
        errors.invalid(path, "", "the domain must not be empty")
    else:
        check_driver_name(errors, path, domain)
    if not identifier:
        errors.invalid(path, "", "the name must not be empty")
    else:
        _check_identifier(errors, path, identifier)


def _check_identifier(errors: Errors, path: Path, value: str) -> None:
    if len(value) > _LONGEST_ID:
        errors.too_long(path, _LONGEST_ID)
    if not _IDENTIFIER.match(value):
        errors.invalid(path, value, _IDENTIFIER_RULE)


def check_configuration(errors: Errors, path: Path, config: DeviceConfiguration) -> None:
    opaque = config.opaque
    if opaque is None:
        errors.required((*path, "opaque"))
        return
    check_driver_name(errors, (*path, "opaque", "driver"), opaque.driver)
    if opaque.parameters is None:
        errors.required((*path, "opaque", "parameters"))
    else:
        check_size(errors, (*path, "opaque", "parameters"), opaque.parameters)


def check_size(errors: Errors, path: Path, data: dict[str, object] | None) -> None:
    """Bounds what drivers get or tell in a form of their own."""
    if data is not None and len(orjson.dumps(data)) > MOST_BYTES:
        errors.too_long(path, MOST_BYTES)
