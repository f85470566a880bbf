"""Secret: bytes (base64 on the wire) for pods to read. Its type says which keys it has."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.model import Base64


class Secret(Object, protobuf="metadata data type stringData immutable*"):
    """Passwords, tokens and keys that pods can use as files or variables."""

    immutable: bool | None = None
    """Whether data and stringData are frozen for good. Default: false."""
    data: dict[str, Base64] | None = None
    """Bytes by key, in base64, at most 1 MiB together."""
    stringData: dict[str, str] | None = None
    """Texts by key, for writes only. They are merged into `data` and override its values."""
    type: str = "Opaque"
    """The type of the content, such as kubernetes.io/tls or kubernetes.io/dockerconfigjson, against which it is
    checked. Default: Opaque. It can't be changed."""
