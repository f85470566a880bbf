"""Checks that a role or binding grants no right that its author lacks: the hooks of the four kinds."""

from __future__ import annotations

from typing import Any

from apimachinery.errors import object_not_found
from apimachinery.meta import Object
from apimachinery.resource import Resource, resource_of
from apiserver.admission._plugin import Attributes, refused
from apiserver.auth.authorization.authorizer import Authorizer, decide
from apiserver.auth.authorization.escalation import EVERYTHING, escalation_error
from apiserver.auth.authorization.rbac import Rbac, role_key
from apiserver.registry.hooks import Hooks
from apiserver.request.info import access
from apiserver.request.user import MASTERS
from apiserver.storage import CachedStorage
from kubeapi.rbac._bindings import Binding
from kubeapi.rbac._rules import GROUP, PolicyRule
from kubeapi.rbac.clusterrole import ClusterRole
from kubeapi.rbac.role import Role

GRANTING_KINDS = [(GROUP, plural) for plural in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")]
ROLES: dict[str, Resource[Any]] = {"Role": resource_of(Role), "ClusterRole": resource_of(ClusterRole)}


class GrantHooks(Hooks):
    """`rbac` knows the rules; `authorizer` is asked for the rights `escalate` and `bind`, which lift the checks."""

    def __init__(self, authorizer: Authorizer, rbac: Rbac, storage: CachedStorage) -> None:
        self._authorizer = authorizer
        self._rbac = rbac
        self._storage = storage

    async def check_rights(self, attributes: Attributes) -> None:
        obj, old = attributes.obj, attributes.old
        if MASTERS in attributes.user.groups or (old is not None and _changes_owners_alone(obj, old)):
            return
        if isinstance(obj, Binding):
            await self._check_binding(attributes, obj)
        else:
            await self._check_role(attributes, obj)

    async def _check_role(self, attributes: Attributes, role: Role | ClusterRole) -> None:
        """A creation by POST names no object, so that `escalate` on certain names doesn't allow it, as upstream."""
        old = attributes.old
        name = attributes.name if old is not None else ""
        if await self._may(attributes, "escalate", attributes.resource.plural, name):
            return
        self._check_held(attributes, role.rules)
        aggregates = getattr(role, "aggregationRule", None) or getattr(old, "aggregationRule", None)
        if aggregates and self._error(attributes, list(EVERYTHING)):
            raise refused(attributes, "must have cluster-admin privileges to use an aggregationRule")

    async def _check_binding(self, attributes: Attributes, binding: Binding) -> None:
        ref = binding.roleRef
        roles = ROLES.get(ref.kind)
        if roles is None or (roles.namespaced and not attributes.resource.namespaced):
            return  # validation refuses it
        if await self._may(attributes, "bind", roles.plural, ref.name):
            return
        role = role_key(ref, attributes.namespace)
        # As of now: the role may have come, or got more rules, through another server.
        await self._storage.get(roles, role.namespace, role.name, min_revision=None)
        rules = self._rbac.current().rules_of(role)
        if rules is None:
            raise object_not_found(attributes.resource.plural, GROUP, ref.name)
        self._check_held(attributes, [rule.spec for rule in rules])

    async def _may(self, attributes: Attributes, verb: str, plural: str, name: str) -> bool:
        request = access(verb, plural, name, group=GROUP, namespace=attributes.namespace)
        return (await decide(self._authorizer, attributes.user, request)).allowed

    def _check_held(self, attributes: Attributes, rules: list[PolicyRule]) -> None:
        """Raises: Forbidden."""
        if why := self._error(attributes, rules):
            raise refused(attributes, why)

    def _error(self, attributes: Attributes, rules: list[PolicyRule]) -> str:
        held, errors = self._rbac.current().held_rules(attributes.user, attributes.namespace)
        return escalation_error(attributes.user, held, errors, rules)


def _changes_owners_alone(obj: Object, old: Object) -> bool:
    """Tells whether an update is of those that the garbage collector makes: of owners and finalizers alone."""
    before = old.clone()
    before.metadata.ownerReferences, before.metadata.finalizers = obj.metadata.ownerReferences, obj.metadata.finalizers
    for name in ("resourceVersion", "managedFields"):
        setattr(before.metadata, name, getattr(obj.metadata, name))
    return before == obj
