"""Rules of roles, and the rules that they have to obey themselves."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import NAME
from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.names import path_segment_errors
from apimachinery.resource import Column, Strategy
from apimachinery.validation import Errors

T = TypeVar("T", bound=Object)

GROUP = "rbac.authorization.k8s.io"


class PolicyRule(Model, protobuf="verbs apiGroups resources resourceNames nonResourceURLs"):
    """Allows verbs on resources, or on paths that are not resources."""

    verbs: Annotated[list[str], NullIfEmpty()] = Field(default_factory=list)
    """The verbs that the rule allows; `*` stands for all."""
    apiGroups: list[str] | None = None
    """The API groups of the resources; `""` is the core group, `*` stands for all."""
    resources: list[str] | None = None
    """The resources, such as `pods`, `pods/log` or `*/scale`; `*` stands for all, with their subresources."""
    resourceNames: list[str] | None = None
    """The names of the objects that the rule is limited to. Default: all."""
    nonResourceURLs: list[str] | None = None
    """Paths that are not resources; a `*` at the end stands for any rest. Only rules of a ClusterRole may have them."""


class RbacStrategy(Strategy[T]):
    """The names of roles and bindings may have colons, as in `system:node`."""

    def validate_name(self, name: str) -> list[str]:
        return path_segment_errors(name)


CREATED_AT = Column(
    "Created At", lambda obj, now: obj.metadata.creationTimestamp, "When the object was created.", "date"
)
COLUMNS = (NAME, CREATED_AT)


def validate_rules(rules: list[PolicyRule], *, namespaced: bool) -> Errors:
    """Checks the rules of a Role (namespaced) or ClusterRole. Source: API reference, "PolicyRule"."""
    errors = Errors()
    for index, rule in enumerate(rules):
        path = ("rules", index)
        if not rule.verbs:
            errors.required((*path, "verbs"), "verbs must contain at least one value")
        if rule.nonResourceURLs:
            at = (*path, "nonResourceURLs")
            if namespaced:
                errors.invalid(at, rule.nonResourceURLs, "namespaced rules cannot apply to non-resource URLs")
            if rule.apiGroups or rule.resources or rule.resourceNames:
                text = "rules cannot apply to both regular resources and non-resource URLs"
                errors.invalid(at, rule.nonResourceURLs, text)
            continue
        if not rule.apiGroups:
            errors.required((*path, "apiGroups"), "resource rules must supply at least one api group")
        if not rule.resources:
            errors.required((*path, "resources"), "resource rules must supply at least one resource")
    return errors
