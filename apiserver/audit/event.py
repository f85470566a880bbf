"""One audit event, from what is known of a request to a line of JSON. Pure; the costly part runs beside requests."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import orjson

from apimachinery.errors import StatusError
from apimachinery.times import format_micro_time
from apiserver.audit.policy import API_VERSION, LEVELS, Level, Stage
from apiserver.codec.body import yaml_to_json
from apiserver.codec.protobuf import to_json
from apiserver.request.info import RequestInfo
from apiserver.request.message import Request
from apiserver.request.user import User

Dict = dict[str, Any]

MAX_OBJECT_BYTES = 1024 * 1024  # of a request or an answer; a larger one is left out, which an annotation tells
MAX_PLAIN_BYTES = 16 * MAX_OBJECT_BYTES  # of an answer that was sent compressed
TRUNCATED = "audit.k8s.io/truncated"
DECISION, REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event whose objects are still as they were sent."""

    fields: Dict
    request_body: bytes = b""
    content_type: bytes = b""
    response_body: bytes = b""
    response_gzip: bool = False
    omit_managed_fields: bool = False

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        return 1024 + len(self.request_body) + len(self.response_body)


def describe(request: Request, user: User, level: Level, received: float) -> Dict:
    """Returns the fields that all events of a request have. `user` is who sent it, whoever it runs as."""
    exchange, info = request.exchange, request.info
    fields: Dict = {
        "kind": "Event",
        "apiVersion": API_VERSION,
        "level": LEVELS[level],
        "auditID": request.audit_id.decode(),
        "requestURI": exchange.target.decode("latin-1"),
        "verb": info.verb,
        "user": user_fields(user),
        "requestReceivedTimestamp": format_micro_time(received),
    }
    if addresses := _addresses(request):
        fields["sourceIPs"] = addresses
    if agent := request.header(b"user-agent"):
        fields["userAgent"] = agent.decode("latin-1")
    if info.is_resource:
        fields["objectRef"] = _reference(info)
    return fields


def at_stage(fields: Dict, stage: Stage, now: float, code: int = 0, annotations: Dict | None = None) -> Dict:
    """Returns the fields of the event of one stage."""
    event = {**fields, "stage": stage, "stageTimestamp": format_micro_time(now)}
    if code:
        event["responseStatus"] = {"metadata": {}, "code": code}
    if annotations:
        event["annotations"] = annotations
    return event


def encode(event: RawEvent) -> bytes:
    """Returns the event as JSON, without a line's end."""
    fields = dict(event.fields)
    lengths = (len(event.request_body), len(event.response_body))
    if max(lengths) > MAX_OBJECT_BYTES:
        fields["annotations"] = {**fields.get("annotations", {}), TRUNCATED: "true"}
    if 0 < lengths[0] <= MAX_OBJECT_BYTES:
        _add_object(fields, "requestObject", _as_json(event.request_body, event.content_type), event)
    if 0 < lengths[1] <= MAX_OBJECT_BYTES:
        answer = _parsed(_plain(event))
        if isinstance(answer, dict) and answer.get("kind") == "Status" and answer.get("apiVersion") == "v1":
            fields["responseStatus"] = {
                key: value for key, value in answer.items() if key not in ("kind", "apiVersion")
            }
        _add_object(fields, "responseObject", answer, event)
    return orjson.dumps(fields)


def _add_object(fields: Dict, name: str, value: Any, event: RawEvent) -> None:
    if value is None:
        return
    if event.omit_managed_fields and isinstance(value, dict):
        for obj in (value, *(value.get("items") or ())):
            if isinstance(obj, dict) and isinstance(obj.get("metadata"), dict):
                obj["metadata"].pop("managedFields", None)
    fields[name] = value


def _as_json(body: bytes, content_type: bytes) -> Any:
    """Returns a request's body as plain JSON types; None for what is none, which its answer tells."""
    kind = content_type.partition(b";")[0].strip()
    try:
        if kind == b"application/vnd.kubernetes.protobuf":
            return _parsed(to_json(body))
        if kind.endswith(b"yaml"):
            return _parsed(yaml_to_json(body).json)
    except StatusError:
        return None
    return _parsed(body)


def _plain(event: RawEvent) -> bytes:
    if not event.response_gzip:
        return event.response_body
    return zlib.decompressobj(wbits=31).decompress(event.response_body, MAX_PLAIN_BYTES)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def user_fields(user: User) -> Dict:
    fields: Dict = {"username": user.name}
    if user.uid:
        fields["uid"] = user.uid
    if user.groups:
        fields["groups"] = list(user.groups)
    if user.extra:
        fields["extra"] = {key: list(values) for key, values in user.extra}
    return fields


def _reference(info: RequestInfo) -> Dict:
    members = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {name: value for name, value in members.items() if value}


def _addresses(request: Request) -> list[str]:
    """Returns the addresses that proxies tell, and the one that the request came from last."""
    forwarded = request.header(b"x-forwarded-for").decode("latin-1")
    addresses = [part.strip() for part in forwarded.split(",") if part.strip()]
    client = request.exchange.connection.client
    if client is not None and client[0] not in addresses:
        addresses.append(client[0])
    return addresses
