"""TokenRequest (authentication.k8s.io/v1): the body of `POST …/serviceaccounts/NAME/token`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import Object
from apimachinery.model import Int64, Model, Required, Time
from apimachinery.resource import Resource


class BoundObjectReference(Model, protobuf="kind apiVersion name uid"):
    """The object that a token is bound to: the token is invalid once it is deleted."""

    kind: str | None = None
    """`Pod`, `Secret` or `Node`."""
    apiVersion: str | None = None
    """The version of that kind: `v1`."""
    name: str | None = None
    """The object's name; a Pod or a Secret is in the service account's namespace."""
    uid: str | None = None
    """The object's uid; any uid matches when absent."""


class TokenRequestSpec(Model, protobuf="audiences - boundObjectRef expirationSeconds*"):
    """The requested token."""

    audiences: list[str] | None = None
    """The audiences of the token; this API server when empty."""
    expirationSeconds: Int64 | None = 3600
    """Seconds for which the token is requested to be valid; the server may give fewer."""
    boundObjectRef: BoundObjectReference | None = None
    """An object to bind the token to: the token is invalid once it is deleted."""

    @model_serializer(mode="wrap")
    def _with_null(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The one field of the API that is `null` on the wire where it is absent."""
        members: dict[str, Any] = handler(self)
        return {"boundObjectRef": None, **members}


class TokenRequestStatus(Model):
    """The issued token."""

    token: str = ""
    """The token. Keep it secret."""
    expirationTimestamp: Annotated[Time, NullIfEmpty()] = ""
    """The time at which the token expires."""


class TokenRequest(Object, protobuf="metadata spec"):
    """Requests a token for a service account."""

    spec: Annotated[TokenRequestSpec, Required()] = Field(default_factory=TokenRequestSpec)
    """The requested token."""
    status: TokenRequestStatus = Field(default_factory=TokenRequestStatus)
    """The issued token, filled in by the server."""


RESOURCE = Resource(
    kind="TokenRequest", plural="tokenrequests", model=TokenRequest, group="authentication.k8s.io", verbs=()
)
