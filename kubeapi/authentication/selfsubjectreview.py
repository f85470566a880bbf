"""SelfSubjectReview: answers with the user of the request."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource
from kubeapi.authentication.tokenreview import UserInfo


class SelfSubjectReviewStatus(Model):
    """The answer."""

    userInfo: UserInfo = Field(default_factory=UserInfo)
    """The user that the request came from."""


class SelfSubjectReview(Object, protobuf="metadata"):
    """Answers with the user that the server sees behind the request."""

    status: SelfSubjectReviewStatus = Field(default_factory=SelfSubjectReviewStatus)
    """The answer, filled in by the server."""


RESOURCE = Resource(
    kind="SelfSubjectReview",
    plural="selfsubjectreviews",
    model=SelfSubjectReview,
    group="authentication.k8s.io",
    namespaced=False,
    verbs=("create",),
    stored=False,
)
