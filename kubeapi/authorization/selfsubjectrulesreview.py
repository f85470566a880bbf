"""SelfSubjectRulesReview: asks what one may do in a namespace."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model, Required
from apimachinery.resource import Resource
from kubeapi.authorization.subjectaccessreview import GROUP


class SelfSubjectRulesReviewSpec(Model, protobuf="namespace"):
    """The namespace whose rules one asks for."""

    namespace: str | None = None
    """The namespace in question. Required."""


class ResourceRule(Model):
    """Verbs that are allowed on objects of some kinds."""

    verbs: Annotated[list[str], Required()] = Field(default_factory=list)
    """The verbs; `*` is all."""
    apiGroups: list[str] | None = None
    """The groups of the kinds; `*` is all."""
    resources: list[str] | None = None
    """The resources, as `pods` or `pods/log`; `*` is all."""
    resourceNames: list[str] | None = None
    """Names of the only objects that it is about; all when empty."""


class NonResourceRule(Model):
    """Verbs that are allowed on paths that are no resource's."""

    verbs: Annotated[list[str], Required()] = Field(default_factory=list)
    """The verbs; `*` is all."""
    nonResourceURLs: list[str] | None = None
    """The paths; `*` as the last step stands for all that follows."""


class SubjectRulesReviewStatus(Model):
    """The answer."""

    resourceRules: Annotated[list[ResourceRule], Required()] = Field(default_factory=list)
    """What is allowed on objects, in no order."""
    nonResourceRules: Annotated[list[NonResourceRule], Required()] = Field(default_factory=list)
    """What is allowed on other paths, in no order."""
    incomplete: bool = False
    """Whether more may be allowed than the rules tell."""
    evaluationError: str | None = None
    """What went wrong on the way to the answer."""


class SelfSubjectRulesReview(Object, protobuf="metadata spec"):
    """Lists what whoever sends it may do in a namespace. For showing to people: who must be sure asks a
    SubjectAccessReview."""

    spec: Annotated[SelfSubjectRulesReviewSpec, Required()] = Field(default_factory=SelfSubjectRulesReviewSpec)
    """Where one would do it."""
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
