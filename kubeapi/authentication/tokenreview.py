"""TokenReview: checks a bearer token and answers with its user."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model, Required
from apimachinery.resource import Resource


class UserInfo(Model):
    """A user as the server knows it."""

    username: str | None = None
    """The name of the user, unique among all existing users."""
    uid: str | None = None
    """An id that differs from those of earlier and later users of the same name."""
    groups: list[str] | None = None
    """The groups that the user is in."""
    extra: dict[str, list[str]] | None = None
    """Further information from the authenticator."""


class TokenReviewSpec(Model, protobuf="token audiences"):
    """The token to check."""

    token: str | None = None
    """The bearer token."""
    audiences: list[str] | None = None
    """The audiences of which the token must name at least one; this API server when empty."""


class TokenReviewStatus(Model):
    """The answer."""

    authenticated: bool | None = None
    """Whether the token is valid for a user."""
    user: UserInfo = Field(default_factory=UserInfo)
    """The user that the token belongs to."""
    audiences: list[str] | None = None
    """The requested audiences that the token names."""
    error: str | None = None
    """The reason why the token could not be checked or is not valid."""


class TokenReview(Object, protobuf="metadata spec"):
    """Checks a bearer token. The answer comes in `status` and is not stored."""

    spec: Annotated[TokenReviewSpec, Required()] = Field(default_factory=TokenReviewSpec)
    """The token to check."""
    status: TokenReviewStatus = Field(default_factory=TokenReviewStatus)
    """The answer, filled in by the server."""


RESOURCE = Resource(
    kind="TokenReview",
    plural="tokenreviews",
    model=TokenReview,
    group="authentication.k8s.io",
    namespaced=False,
    verbs=("create",),
    stored=False,
)
