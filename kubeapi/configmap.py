"""ConfigMap: text and bytes for pods to read."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.resource import Resource


class ConfigMap(Object):
    immutable: bool | None = None
    data: dict[str, str] | None = None
    binaryData: dict[str, str] | None = None


RESOURCE = Resource(kind="ConfigMap", plural="configmaps", model=ConfigMap, short_names=("cm",))
