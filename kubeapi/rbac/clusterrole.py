"""ClusterRole: what may be done in the whole cluster, or in the namespace of whatever RoleBinding refers to it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector, Object
from apimachinery.model import Model
from apimachinery.resource import Resource
from kubeapi.rbac._rules import COLUMNS, GROUP, PolicyRule, RbacStrategy, validate_rules


class AggregationRule(Model, protobuf="clusterRoleSelectors"):
    """Selects the ClusterRoles whose rules make up the rules of this one."""

    clusterRoleSelectors: list[LabelSelector] | None = None
    """Selectors of ClusterRoles; a role that any of them selects counts."""


class ClusterRole(Object, protobuf="metadata rules aggregationRule"):
    """A set of rules that bindings grant, in the whole cluster or in a namespace."""

    rules: Annotated[list[PolicyRule], NullIfEmpty()] = Field(default_factory=list)
    """The rules of the role. One that allows a request is enough."""
    aggregationRule: AggregationRule | None = None
    """Which other ClusterRoles give this one its rules."""


class ClusterRoleStrategy(RbacStrategy[ClusterRole]):
    def validate(self, obj: ClusterRole) -> list[FieldError]:
        errors = validate_rules(obj.rules, namespaced=False)
        if obj.aggregationRule is not None:
            path = ("aggregationRule", "clusterRoleSelectors")
            selectors = obj.aggregationRule.clusterRoleSelectors
            if not selectors:
                errors.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
            for index, selector in enumerate(selectors or ()):
                count = len(errors)
                errors.check_selector((*path, index), selector)
                if len(errors) > count:
                    errors.invalid((*path, index), None, "invalid label selector.")
        return errors


RESOURCE = Resource(
    kind="ClusterRole",
    plural="clusterroles",
    model=ClusterRole,
    group=GROUP,
    namespaced=False,
    strategy=ClusterRoleStrategy(),
    columns=COLUMNS,
)
