"""TokenReview: asks whom a bearer token stands for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model, Required
from apimachinery.resource import Resource


class UserInfo(Model):
    """A user as the server knows it."""

    username: str | None = None
    """The name, unique among all users that are there."""
    uid: str | None = None
    """What sets the user apart from others that had or will have the same name."""
    groups: list[str] | None = None
    """The groups the user is in."""
    extra: dict[str, list[str]] | None = None
    """What else is known, as whoever authenticated the user tells it."""


class TokenReviewSpec(Model, protobuf="token audiences"):
    """The token in question."""

    token: str | None = None
    """The bearer token."""
    audiences: list[str] | None = None
    """For whom the token should be meant, any of them; for this API server when empty."""


class TokenReviewStatus(Model):
    """The answer."""

    authenticated: bool | None = None
    """Whether the token stands for somebody."""
    user: UserInfo = Field(default_factory=UserInfo)
    """The user it stands for."""
    audiences: list[str] | None = None
    """Those of the asked audiences that the token is meant for."""
    error: str | None = None
    """Why the token could not be checked or stands for nobody."""


class TokenReview(Object, protobuf="metadata spec"):
    """A question about a bearer token; the answer comes with the reply and is not kept."""

    spec: Annotated[TokenReviewSpec, Required()] = Field(default_factory=TokenReviewSpec)
    """The token in question."""
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
