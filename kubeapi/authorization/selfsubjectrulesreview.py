"""SelfSubjectRulesReview: lists what the sender may do in a namespace."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model, Required
from apimachinery.resource import Resource
from kubeapi.authorization.subjectaccessreview import GROUP


class SelfSubjectRulesReviewSpec(Model, protobuf="namespace"):
    """The namespace to list the rules of."""

    namespace: str | None = None
    """The namespace. Required."""


class ResourceRule(Model):
    """Verbs that are allowed on some resources."""

    verbs: Annotated[list[str], Required()] = Field(default_factory=list)
    """The verbs; `*` stands for all."""
    apiGroups: list[str] | None = None
    """The API groups; `*` stands for all."""
    resources: list[str] | None = None
    """The resources, such as `pods` or `pods/log`; `*` stands for all."""
    resourceNames: list[str] | None = None
    """The names of the objects; all when empty."""


class NonResourceRule(Model):
    """Verbs that are allowed on paths that do not belong to a resource."""

    verbs: Annotated[list[str], Required()] = Field(default_factory=list)
    """The verbs; `*` stands for all."""
    nonResourceURLs: list[str] | None = None
    """The paths; `*` as the last step stands for everything below."""


class SubjectRulesReviewStatus(Model):
    """The answer."""

    resourceRules: Annotated[list[ResourceRule], Required()] = Field(default_factory=list)
    """The rules for resources, in no particular order."""
    nonResourceRules: Annotated[list[NonResourceRule], Required()] = Field(default_factory=list)
    """The rules for other paths, in no particular order."""
    incomplete: bool = False
    """Whether the list of rules is incomplete."""
    evaluationError: str | None = None
    """An error that occurred while the rules were listed."""


class SelfSubjectRulesReview(Object, protobuf="metadata spec"):
    """Lists what the sender may do in a namespace. Meant for display; use a SubjectAccessReview to decide."""

    spec: Annotated[SelfSubjectRulesReviewSpec, Required()] = Field(default_factory=SelfSubjectRulesReviewSpec)
    """The namespace to list the rules of, as a spec."""
    status: SubjectRulesReviewStatus = Field(default_factory=SubjectRulesReviewStatus)
    """The answer, filled in by the server."""


RESOURCE = Resource(
    kind="SelfSubjectRulesReview",
    plural="selfsubjectrulesreviews",
    model=SelfSubjectRulesReview,
    group=GROUP,
    namespaced=False,
    verbs=("create",),
    stored=False,
)
