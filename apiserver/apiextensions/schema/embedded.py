"""Whole objects inside of custom resources: `x-kubernetes-embedded-resource`."""

from __future__ import annotations

from typing import Any

from apimachinery.errors import BadRequest, FieldError
from apimachinery.fields.fieldtypes import FieldType, fields_of
from apimachinery.meta import ObjectMeta
from apimachinery.model import from_dict
from apimachinery.names import dns_1035_label_errors, path_segment_errors
from apimachinery.validation import Errors, Path
from apiserver.apiextensions.schema.branches import Branch, Raw
from apiserver.apiextensions.schema.paths import At, dotted

IDENTITY = frozenset(("apiVersion", "kind", "metadata"))
_METADATA = FieldType("object", model=ObjectMeta)


def prune_metadata(value: Any, at: At, dropped: list[str]) -> None:
    """Drops what the metadata of no object has."""
    _prune(value, _METADATA, at, dropped)


def _prune(value: Any, kind: FieldType | None, at: At, dropped: list[str]) -> None:
    if kind is None or kind.inner_model is None:
        return
    if isinstance(value, dict):
        fields = fields_of(kind.model) if kind.model is not None else {}
        for name in [name for name in value if name not in fields]:
            dropped.append(dotted((at, name)))
            del value[name]
        for name, member in value.items():
            _prune(member, fields[name].type, (at, name), dropped)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _prune(item, kind.item, (at, index), dropped)


def asks(schema: Raw) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def check(branch: Branch, value: Any, at: Path = ()) -> list[FieldError]:
    """Lists the faults in the identity of embedded resources."""
    errors = Errors()
    _check(branch, value, at, errors)
    return errors


def _check(branch: Branch, value: Any, at: Path, errors: Errors) -> None:
    if isinstance(value, dict):
        if branch.asks:
            _check_identity(value, at, errors)
        for name, member in value.items():
            if (inner := branch.members.get(name)) is not None:
                _check(inner, member, (*at, name), errors)
            elif branch.further is not None:
                _check(branch.further, member, (*at, f"[{name}]"), errors)
    elif isinstance(value, list) and branch.items is not None:
        for index, item in enumerate(value):
            _check(branch.items, item, (*at, index), errors)


def _check_identity(value: dict[str, Any], at: Path, errors: Errors) -> None:
    for name in ("apiVersion", "kind"):
        text = value.get(name, "")
        if not isinstance(text, str):
            errors.invalid((*at, name), text, "must be a string")
        elif not text:
            errors.required((*at, name))
        elif name == "apiVersion" and text.count("/") > 1:
            errors.invalid((*at, name), text, f"unexpected GroupVersion string: {text}")
        elif name == "kind":
            for message in dns_1035_label_errors(text.lower()):
                errors.invalid((*at, name), text, f"may have mixed case, but should otherwise match: {message}")
    if "metadata" in value:
        _check_metadata(value["metadata"], (*at, "metadata"), errors)


def _check_metadata(value: Any, at: Path, errors: Errors) -> None:
    try:
        metadata = from_dict(ObjectMeta, {} if value is None else value)
    except BadRequest as error:
        errors.invalid(at, value, str(error))
        return
    errors.check_messages((*at, "name"), metadata.name, path_segment_errors(metadata.name or "fakename"))
    errors.check_labels((*at, "labels"), metadata.labels)
    errors.check_annotations((*at, "annotations"), metadata.annotations)
