"""SelfSubjectAccessReview: checks what the sender may do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Model, Required
from apimachinery.resource import Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.authorization.subjectaccessreview import (
    GROUP,
    NonResourceAttributes,
    ResourceAttributes,
    SubjectAccessReviewStatus,
    check_attributes,
    check_no_metadata,
)


class SelfSubjectAccessReviewSpec(Model, protobuf="resourceAttributes nonResourceAttributes"):
    """The request to check. Exactly one of the two fields must be set."""

    resourceAttributes: ResourceAttributes | None = None
    """The request, if it is for a resource."""
    nonResourceAttributes: NonResourceAttributes | None = None
    """The request, if it is for a path that does not belong to a resource."""


class SelfSubjectAccessReview(Object, protobuf="metadata spec"):
    """Checks what the sender may do. The answer comes in `status` and is not stored."""

    spec: Annotated[SelfSubjectAccessReviewSpec, Required()] = Field(default_factory=SelfSubjectAccessReviewSpec)
    """The request to check for the sender."""
    status: SubjectAccessReviewStatus = Field(default_factory=SubjectAccessReviewStatus)
    """The answer, filled in by the server."""


class SelfSubjectAccessReviewStrategy(Strategy[SelfSubjectAccessReview]):
    """Source: Kubernetes API reference, "SelfSubjectAccessReview"."""

    def validate(self, obj: SelfSubjectAccessReview) -> list[FieldError]:
        errors = Errors()
        check_attributes(errors, obj.spec.resourceAttributes, obj.spec.nonResourceAttributes)
        check_no_metadata(errors, obj.metadata, "must be empty")
        return errors


RESOURCE = Resource(
    kind="SelfSubjectAccessReview",
    plural="selfsubjectaccessreviews",
    model=SelfSubjectAccessReview,
    group=GROUP,
    namespaced=False,
    strategy=SelfSubjectAccessReviewStrategy(),
    verbs=("create",),
    stored=False,
)
