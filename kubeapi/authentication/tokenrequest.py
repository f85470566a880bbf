"""TokenRequest (authentication.k8s.io/v1): the body of `POST …/serviceaccounts/NAME/token`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Int64, Model, Required, Time
from apimachinery.resource import Resource


class BoundObjectReference(Model, protobuf="kind apiVersion name uid"):
    """The object that a token ends with."""

    kind: str | None = None
    """`Pod`, `Secret` or `Node`."""
    apiVersion: str | None = None
    """The version of that kind: `v1`."""
    name: str | None = None
    """The object's name; a Pod or a Secret is in the service account's namespace."""
    uid: str | None = None
    """The object's uid; any when absent."""


class TokenRequestSpec(Model, protobuf="audiences - boundObjectRef expirationSeconds*"):
    """What the token shall be like."""

    audiences: list[str] | None = None
    """For whom the token is meant; for this API server when empty."""
    expirationSeconds: Int64 | None = 3600
    """How long it shall be valid; the server may give less."""
    boundObjectRef: BoundObjectReference | None = None
    """An object without which the token is not valid any more."""


class TokenRequestStatus(Model):
    """The token."""

    token: str = ""
    """The token itself, secret."""
    expirationTimestamp: Time | None = None
    """Until when it is valid."""


class TokenRequest(Object, protobuf="metadata spec"):
    """Asks for a token of a service account."""

    spec: Annotated[TokenRequestSpec, Required()] = Field(default_factory=TokenRequestSpec)
    """What the token shall be like."""
    status: TokenRequestStatus = Field(default_factory=TokenRequestStatus)
    """The token, filled in by the server."""


RESOURCE = Resource(
    kind="TokenRequest", plural="tokenrequests", model=TokenRequest, group="authentication.k8s.io", verbs=()
)
