"""Role: what may be done in one namespace."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.resource import Resource
from kubeapi.rbac._rules import COLUMNS, GROUP, PolicyRule, RbacStrategy, validate_rules


class Role(Object, protobuf="metadata rules"):
    """A set of rules that bindings grant within the namespace."""

    rules: Annotated[list[PolicyRule], NullIfEmpty()] = Field(default_factory=list)
    """The rules of the role. One that allows a request is enough."""


class RoleStrategy(RbacStrategy[Role]):
    def validate(self, obj: Role) -> list[FieldError]:
        return validate_rules(obj.rules, namespaced=True)


RESOURCE = Resource(kind="Role", plural="roles", model=Role, group=GROUP, strategy=RoleStrategy(), columns=COLUMNS)
