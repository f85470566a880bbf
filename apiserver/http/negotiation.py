"""Reads from Content-Type and Accept the format of a body and that of its answer.

The API answers in JSON, or YAML where that is preferred: a client that prefers protobuf but takes JSON too (all of
client-go does) gets JSON. It reads protobuf as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from apimachinery.errors import NotAcceptable, UnsupportedMediaType

ACCEPTED = "application/json, application/yaml"
ACCEPTED_STREAMS = "application/json;stream=watch"

ACCEPTED_BODIES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"

BodyFormat = Literal["json", "yaml", "protobuf"]
AnswerFormat = Literal["json", "yaml"]

_BODY_FORMATS: dict[bytes, BodyFormat] = {
    b"": "json",
    b"application/json": "json",
    b"application/yaml": "yaml",
    b"application/vnd.kubernetes.protobuf": "protobuf",
}

OBJECT = ""
TABLE = "Table"
METADATA = "PartialObjectMetadata"
METADATA_LIST = "PartialObjectMetadataList"
DISCOVERY_LIST = "APIGroupDiscoveryList"

_SHAPES = frozenset({TABLE, METADATA, METADATA_LIST})
_FORMATS: dict[str, AnswerFormat] = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/*": "json",
    "*/*": "json",
}
CACHED_BYTES = 1024  # longer headers are parsed each time: the cache must stay small
_HUMANS = (b"curl", b"Wget", b"Mozilla/5.0")  # user agents that get readable JSON without asking
_FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE"})


@dataclass(frozen=True, slots=True)
class Representation:
    """The form of an answer. `shape` is OBJECT (unchanged) or a transformed shape, which has its own `version`."""

    shape: str = OBJECT
    version: str = "v1"
    format: AnswerFormat = "json"
    pretty: bool = False


PLAIN = Representation()


def negotiate(accept: bytes, *, transformed: bool = True) -> Representation:
    """Chooses the best representation that the server can give; b"" accepts anything.

    `transformed`: a Table or metadata can be given too. Raises: NotAcceptable when nothing in the header can be served.
    """
    if not accept:
        return PLAIN
    if len(accept) > CACHED_BYTES or not transformed:
        return _negotiate(accept, transformed)
    return _negotiate_cached(accept)


def _negotiate(accept: bytes, transformed: bool = True) -> Representation:
    for media_type, parameters in by_preference(accept):
        answer_format = _FORMATS.get(media_type)
        if answer_format is None or parameters.get("stream", "watch") != "watch" or parameters.get("sv", "v1") != "v1":
            continue
        shape, group, version = (parameters.get(key, "") for key in ("as", "g", "v"))
        pretty = answer_format == "json" and parameters.get("pretty") == "1"
        if not (shape or group or version):
            return Representation(OBJECT, "v1", answer_format, pretty)
        if transformed and shape in _SHAPES and group == "meta.k8s.io" and version in ("v1", "v1beta1"):
            return Representation(shape, version, answer_format, pretty)
    raise NotAcceptable(f"only the following media types are accepted: {ACCEPTED}")


_negotiate_cached = lru_cache(maxsize=256)(_negotiate)


def for_reader(representation: Representation, user_agent: bytes, pretty_parameter: str) -> Representation:
    """Chooses indented JSON for whoever asks for it by the query's `pretty`, or seems to be a human."""
    pretty = pretty_parameter not in _FALSE if pretty_parameter else seems_human(user_agent) or representation.pretty
    return (
        representation
        if pretty is representation.pretty or representation.format != "json"
        else replace(representation, pretty=pretty)
    )


def seems_human(user_agent: bytes) -> bool:
    return user_agent.startswith(_HUMANS)


def check_stream(representation: Representation) -> None:
    """Raises: NotAcceptable for a watch in a format that cannot be streamed."""
    if representation.format != "json":
        raise NotAcceptable(f"only the following media types are accepted: {ACCEPTED_STREAMS}")


def discovery_version(accept: bytes) -> str:
    """Returns the version of aggregated discovery that a client prefers to the plain lists, or "".

    Raises: NotAcceptable.
    """
    for media_type, parameters in by_preference(accept or b"*/*"):
        if media_type in _FORMATS:
            if not parameters.get("as"):
                return ""
            shape, group, version = (parameters.get(key, "") for key in ("as", "g", "v"))
            # Both have the same form; kubectl before 1.30 knows the older name alone.
            if (shape, group) == (DISCOVERY_LIST, "apidiscovery.k8s.io") and version in ("v2", "v2beta1"):
                return version
    raise NotAcceptable(f"only the following media types are accepted: {ACCEPTED}")


def by_preference(accept: bytes) -> list[tuple[str, dict[str, str]]]:
    """Sorts media ranges by quality, the best first; equals stay in order. Each comes with its parameters."""
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
    """Names the format of a body; JSON when the header is absent. Raises: UnsupportedMediaType."""
    media_type = content_type.partition(b";")[0].strip().lower()
    format = _BODY_FORMATS.get(media_type)
    if format is None:
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {ACCEPTED_BODIES}"
        )
    return format


def accepts_gzip(accept_encoding: bytes) -> bool:
    return b"gzip" in accept_encoding
