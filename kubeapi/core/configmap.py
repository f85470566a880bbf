"""ConfigMap: text and bytes for pods to read."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Base64
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core._data import MAX_DATA_BYTES, check_data_update, check_keys


class ConfigMap(Object, protobuf="metadata data binaryData immutable*"):
    """Settings that pods can use as files or variables. Do not put secrets here."""

    immutable: bool | None = None
    """Whether data and binaryData are frozen for good. Default: false."""
    data: dict[str, str] | None = None
    """Texts by key, at most 1 MiB together. Keys consist of letters, digits, "-", "_" and "."."""
    binaryData: dict[str, Base64] | None = None
    """Bytes by key, in base64. A key must not be in `data` too."""


class ConfigMapStrategy(Strategy[ConfigMap]):
    """Source: Kubernetes documentation, "ConfigMaps"."""

    def validate(self, obj: ConfigMap) -> list[FieldError]:
        errors = Errors()
        size = check_keys(errors, "data", obj.data) + check_keys(errors, "binaryData", obj.binaryData, encoded=True)
        for key in obj.binaryData or ():
            if key in (obj.data or ()):
                errors.invalid(("data", f"[{key}]"), key, "duplicate of key present in binaryData")
        if size > MAX_DATA_BYTES:
            errors.too_long(("[]",), MAX_DATA_BYTES)
        return errors

    def validate_update(self, obj: ConfigMap, old: ConfigMap) -> list[FieldError]:
        errors = Errors()
        if old.immutable:
            check_data_update(
                errors, obj.immutable, (("data", obj.data, old.data), ("binaryData", obj.binaryData, old.binaryData))
            )
        return errors


RESOURCE = Resource(
    kind="ConfigMap",
    plural="configmaps",
    model=ConfigMap,
    short_names=("cm",),
    strategy=ConfigMapStrategy(),
    columns=(
        NAME,
        Column("Data", lambda obj, now: len(obj.data or ()) + len(obj.binaryData or ()), "The number of entries."),
        AGE,
    ),
)
