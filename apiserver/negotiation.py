"""What a client sends and what it wants back, read from Content-Type and Accept.

The API answers in JSON: a client that prefers protobuf but takes JSON too (all of client-go does) gets JSON. It reads
YAML and protobuf as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from apimachinery.errors import NotAcceptable, UnsupportedMediaType

ACCEPTED = "application/json"

ACCEPTED_BODIES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"

BodyFormat = Literal["json", "yaml", "protobuf"]

_BODY_FORMATS: dict[bytes, BodyFormat] = {
    b"": "json",
    b"application/json": "json",
    b"application/yaml": "yaml",
    b"application/x-yaml": "yaml",
    b"text/yaml": "yaml",
    b"application/vnd.kubernetes.protobuf": "protobuf",
}

OBJECT = ""
TABLE = "Table"
METADATA = "PartialObjectMetadata"
METADATA_LIST = "PartialObjectMetadataList"
DISCOVERY_LIST = "APIGroupDiscoveryList"

_GROUP_OF = {TABLE: "meta.k8s.io", METADATA: "meta.k8s.io", METADATA_LIST: "meta.k8s.io"}
_VERSIONS_OF = {TABLE: ("v1", "v1beta1"), METADATA: ("v1", "v1beta1"), METADATA_LIST: ("v1", "v1beta1")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """`shape` is OBJECT (the object as it is) or one of the transformed shapes; `version` is the shape's own."""

    shape: str = OBJECT
    version: str = "v1"


PLAIN = Wanted()


@lru_cache(maxsize=256)
def wanted(accept: bytes) -> Wanted:
    """The best representation the server can give; b"" means anything.

    Raises: NotAcceptable when nothing in the header can be served.
    """
    if not accept:
        return PLAIN
    for media_type, parameters in _by_preference(accept):
        if media_type not in ("application/json", "*/*", "application/*"):
            continue
        shape = parameters.get("as", OBJECT)
        if not shape:
            return PLAIN
        version = parameters.get("v", "")
        if parameters.get("g") == _GROUP_OF.get(shape) and version in _VERSIONS_OF.get(shape, ()):
            return Wanted(shape, version)
    raise NotAcceptable(f"only the following media types are accepted: {ACCEPTED}")


@lru_cache(maxsize=256)
def discovery_version(accept: bytes) -> str:
    """The version of aggregated discovery a client prefers to the plain lists: "v2", or "" for the plain ones.

    Raises: NotAcceptable.
    """
    for media_type, parameters in _by_preference(accept or b"*/*"):
        if media_type in ("application/json", "*/*", "application/*"):
            if not parameters.get("as"):
                return ""
            if [parameters.get(key) for key in ("as", "g", "v")] == [DISCOVERY_LIST, "apidiscovery.k8s.io", "v2"]:
                return "v2"
    raise NotAcceptable(f"only the following media types are accepted: {ACCEPTED}")


def _by_preference(accept: bytes) -> list[tuple[str, dict[str, str]]]:
    """Media ranges with their parameters, the best quality first, in the order given among equals."""
    ranges = []
    for clause in accept.decode("latin-1").split(","):
        media_type, *pairs = (part.strip() for part in clause.split(";"))
        parameters = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if quality > 0:
            ranges.append((-quality, media_type.lower(), parameters))
    ranges.sort(key=lambda item: item[0])
    return [(media_type, parameters) for _, media_type, parameters in ranges]


def body_format(content_type: bytes) -> BodyFormat:
    """JSON when the header is absent. Raises: UnsupportedMediaType."""
    media_type = content_type.partition(b";")[0].strip().lower()
    found = _BODY_FORMATS.get(media_type)
    if found is None:
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {ACCEPTED_BODIES}"
        )
    return found


def accepts_gzip(accept_encoding: bytes) -> bool:
    return b"gzip" in accept_encoding
