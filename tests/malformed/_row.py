"""A request that has to be refused, and its answer."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

NAMESPACE = "bad"
CM = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    431: "RequestHeaderFieldsTooLarge",
}


@dataclass(frozen=True)
class Row:
    """`message` is the whole of it; one that ends in "…" is its beginning. `causes` are (reason, field) pairs."""

    name: str
    code: int
    message: str
    method: str = "POST"
    path: str = CM
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": JSON})
    causes: tuple[tuple[str, str], ...] = ()
    reason: str = ""

    def check(self, code: int, status: dict[str, Any]) -> None:
        """Raises: AssertionError."""
        message, causes = status["message"], status.get("details", {}).get("causes", [])
        said = f"{code}: {json.dumps(status)[:2000]}"
        assert code == self.code, said
        if self.message.endswith("…"):
            assert message.startswith(self.message[:-1]), said
        else:
            assert message == self.message, said
        assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure"), said
        assert (status["reason"], status["code"]) == (self.reason or REASONS[self.code], self.code), said
        assert tuple((cause["reason"], cause.get("field", "")) for cause in causes) == self.causes, said


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()


def post(
    name: str, body: Any, message: str, code: int = 400, *causes: tuple[str, str], path: str = CM, kind: str = JSON
) -> Row:
    return Row(name, code, message, "POST", path, encoded(body), {"content-type": kind}, causes)


def put(name: str, body: Any, message: str, code: int = 400, *causes: tuple[str, str], path: str = f"{CM}/kept") -> Row:
    return Row(name, code, message, "PUT", path, encoded(body), causes=causes)


def patch(
    name: str, body: Any, message: str, code: int = 400, *causes: tuple[str, str], kind: str = MERGE, path: str = ""
) -> Row:
    return Row(name, code, message, "PATCH", path or f"{CM}/kept", encoded(body), {"content-type": kind}, causes)


def get(name: str, path: str, message: str, code: int = 400, *causes: tuple[str, str], accept: str = "*/*") -> Row:
    """A path that begins with "?" is a query on the list of ConfigMaps."""
    return Row(name, code, message, "GET", CM + path if path[:1] in "?" else path, b"", {"accept": accept}, causes)


def delete(name: str, body: Any, message: str, code: int = 400, *causes: tuple[str, str], query: str = "") -> Row:
    return Row(name, code, message, "DELETE", f"{CM}/kept{query}", encoded(body), causes=causes)


def config_map(**more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c"}, **more}


def with_meta(**meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c", **meta}}


def with_container(**container: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i", **container}]}}


def token(**members: Any) -> str:
    body = {"v": "meta.k8s.io/v1", "rv": 1, "start": "a", **members}
    return base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=").decode()


UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): …"
AS_CONFIG_MAP = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: …'
NO_YAML = "error converting YAML to JSON: …"
NO_PROTOBUF = "the request body is not a valid protobuf object: …"
TOO_LARGE = "Request entity too large: limit is 3145728"
ACCEPTED_BODIES = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json, application/yaml, application/vnd.kubernetes.protobuf"
)
NOT_SERVED = "the server could not find the requested resource"
NOT_ALLOWED = "the server does not allow this method on the requested resource"
NOT_ACCEPTED = "only the following media types are accepted: application/json, application/yaml"
INVALID = 'ConfigMap "c" is invalid: '
LIST_OPTIONS = 'ListOptions.meta.k8s.io "" is invalid: '
DELETE_OPTIONS = 'DeleteOptions.meta.k8s.io "" is invalid: '
LABEL_RULE = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', …"


def other(name: str, method: str, path: str, message: str, code: int, body: bytes = b"", **headers: str) -> Row:
    return Row(name, code, message, method, path, body, headers)
