"""Secret: bytes (base64 on the wire) for pods to read, of a type that says which keys it has."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.resource import Resource


class Secret(Object):
    immutable: bool | None = None
    data: dict[str, str] | None = None
    stringData: dict[str, str] | None = None
    type: str = "Opaque"


RESOURCE = Resource(kind="Secret", plural="secrets", model=Secret)
