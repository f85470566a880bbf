"""LocalSubjectAccessReview: checks what a user may do in one namespace."""

from __future__ import annotations

from apimachinery.errors import FieldError
from apimachinery.model import to_dict
from apimachinery.resource import Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.authorization.subjectaccessreview import (
    GROUP,
    SubjectAccessReview,
    check_attributes,
    check_no_metadata,
    check_subject,
)


class LocalSubjectAccessReview(SubjectAccessReview, protobuf="metadata spec"):
    """Checks what a user may do in the namespace of the request, so that the right to ask can be granted by
    namespace."""


class LocalSubjectAccessReviewStrategy(Strategy[LocalSubjectAccessReview]):
    """Source: Kubernetes API reference, "LocalSubjectAccessReview"."""

    def validate(self, obj: LocalSubjectAccessReview) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        check_attributes(errors, spec.resourceAttributes, spec.nonResourceAttributes)
        check_subject(errors, spec)
        check_no_metadata(errors, obj.metadata, "must be empty except for namespace")
        if spec.resourceAttributes is not None and (spec.resourceAttributes.namespace or "") != obj.namespace:
            path = ("spec", "resourceAttributes", "namespace")
            errors.invalid(path, spec.resourceAttributes.namespace or "", "must match metadata.namespace")
        if spec.nonResourceAttributes is not None:
            at = ("spec", "nonResourceAttributes")
            errors.invalid(at, to_dict(spec.nonResourceAttributes), "disallowed on this kind of request")
        return errors


RESOURCE = Resource(
    kind="LocalSubjectAccessReview",
    plural="localsubjectaccessreviews",
    model=LocalSubjectAccessReview,
    group=GROUP,
    strategy=LocalSubjectAccessReviewStrategy(),
    verbs=("create",),
    stored=False,
)
