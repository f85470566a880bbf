"""SubjectAccessReview: checks what a user may do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelectorRequirement, Object, ObjectMeta
from apimachinery.model import Model, Required, to_dict
from apimachinery.resource import Resource, Strategy
from apimachinery.validation import Errors

GROUP = "authorization.k8s.io"


class FieldSelectorRequirement(Model, protobuf="key operator values"):
    """A condition on one field of the objects."""

    key: str = ""
    """The name of the field."""
    operator: str = ""
    """The comparison of the field: In, NotIn, Exists or DoesNotExist."""
    values: list[str] | None = None
    """The values to compare with."""


class FieldSelectorAttributes(Model, protobuf="rawSelector requirements"):
    """The field selector of a list, watch or deletecollection."""

    rawSelector: str | None = None
    """The selector as it stands in the query."""
    requirements: list[FieldSelectorRequirement] | None = None
    """The selector as a list of conditions. Only one of the two forms may be given."""


class LabelSelectorAttributes(Model, protobuf="rawSelector requirements"):
    """The label selector of a list, watch or deletecollection."""

    rawSelector: str | None = None
    """The selector as it stands in the query."""
    requirements: list[LabelSelectorRequirement] | None = None
    """The selector as a list of conditions. Only one of the two forms may be given."""


class ResourceAttributes(
    Model,
    protobuf="namespace verb group version resource subresource name fieldSelector labelSelector",
):
    """A request for a resource."""

    namespace: str | None = None
    """The namespace. For namespaced kinds, empty means all namespaces."""
    verb: str | None = None
    """The verb, such as `get`, `list`, `create` or `deletecollection`; `*` stands for all."""
    group: str | None = None
    """The API group; `*` stands for all."""
    version: str | None = None
    """The API version; `*` stands for all."""
    resource: str | None = None
    """The resource, such as `pods`; `*` stands for all."""
    subresource: str | None = None
    """The subresource, such as `log`."""
    name: str | None = None
    """The name of the object; empty means all objects."""
    fieldSelector: FieldSelectorAttributes | None = None
    """Limits the request to objects by their fields."""
    labelSelector: LabelSelectorAttributes | None = None
    """Limits the request to objects by their labels."""


class NonResourceAttributes(Model, protobuf="path verb"):
    """A request for a path that does not belong to a resource."""

    path: str | None = None
    """The path, such as `/healthz`."""
    verb: str | None = None
    """The HTTP method in lower case, such as `get`."""


class SubjectAccessReviewSpec(Model, protobuf="resourceAttributes nonResourceAttributes user groups extra uid"):
    """The user and the request to check. Exactly one of `resourceAttributes` and `nonResourceAttributes` must be
    set."""

    resourceAttributes: ResourceAttributes | None = None
    """The request, if it is for a resource."""
    nonResourceAttributes: NonResourceAttributes | None = None
    """The request, if it is for a path that does not belong to a resource."""
    user: str | None = None
    """The user's name. A user or a group must be given."""
    groups: list[str] | None = None
    """The groups that the user is in."""
    extra: dict[str, list[str]] | None = None
    """Further information about the user."""
    uid: str | None = None
    """The user's uid."""


class SubjectAccessReviewStatus(Model):
    """The answer."""

    allowed: bool = False
    """Whether the request is allowed."""
    denied: bool | None = None
    """Whether the request is denied outright, so that no other authorizer is asked."""
    reason: str | None = None
    """The reason for the decision, for people."""
    evaluationError: str | None = None
    """An error that occurred during the check. The answer may still be right."""


class SubjectAccessReview(Object, protobuf="metadata spec"):
    """Checks what a user may do. The answer comes in `status` and is not stored."""

    spec: Annotated[SubjectAccessReviewSpec, Required()] = Field(default_factory=SubjectAccessReviewSpec)
    """The user and the request to check."""
    status: SubjectAccessReviewStatus = Field(default_factory=SubjectAccessReviewStatus)
    """The answer, filled in by the server."""


class SubjectAccessReviewStrategy(Strategy[SubjectAccessReview]):
    """Source: Kubernetes API reference, "SubjectAccessReview"."""

    def validate(self, obj: SubjectAccessReview) -> list[FieldError]:
        errors = Errors()
        check_attributes(errors, obj.spec.resourceAttributes, obj.spec.nonResourceAttributes)
        check_subject(errors, obj.spec)
        check_no_metadata(errors, obj.metadata, "must be empty")
        return errors


def check_subject(errors: Errors, spec: SubjectAccessReviewSpec) -> None:
    if not spec.user and not spec.groups:
        errors.invalid(("spec", "user"), spec.user or "", "at least one of user or group must be specified")


def check_attributes(errors: Errors, resource: ResourceAttributes | None, path: NonResourceAttributes | None) -> None:
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        errors.invalid(("spec", "nonResourceAttributes"), to_dict(path), text)
    elif resource is None and path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errors.invalid(("spec", "resourceAttributes"), None, text)
    for name in ("fieldSelector", "labelSelector"):
        selector = getattr(resource, name, None)
        at = ("spec", "resourceAttributes", name)
        if selector is not None and selector.rawSelector and selector.requirements:
            text = "may not specified at the same time as requirements"
            errors.invalid((*at, "rawSelector"), selector.rawSelector, text)
        elif selector is not None and not selector.rawSelector and not selector.requirements:
            text = f"when {'.'.join(at)} is specified, requirements or rawSelector is required"
            errors.required((*at, "requirements"), text)


def check_no_metadata(errors: Errors, meta: ObjectMeta, text: str) -> None:
    """Refuses metadata, which would be lost: reviews are not stored."""
    metadata = to_dict(meta.model_copy(update={"managedFields": None, "namespace": None}))
    if metadata:
        errors.invalid(("metadata",), metadata, text)


RESOURCE = Resource(
    kind="SubjectAccessReview",
    plural="subjectaccessreviews",
    model=SubjectAccessReview,
    group=GROUP,
    namespaced=False,
    strategy=SubjectAccessReviewStrategy(),
    verbs=("create",),
    stored=False,
)
