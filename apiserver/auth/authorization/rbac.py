"""Decides by the rules of roles, and by the bindings that grant them: a pure function of these objects.

Bindings are turned into grants of their subjects when one of the objects changes, so a decision looks at those of the
user and the user's groups alone; decided questions are kept until the next change.

Source: Kubernetes documentation, "Using RBAC Authorization".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from apimachinery.errors import join_errors, quote
from apimachinery.model import decode
from apimachinery.resource import Resource, resource_of
from apiserver.auth.authentication.tokens import USER_PREFIX
from apiserver.auth.authorization.authorizer import Decision, PathRule, ResourceRule, Rules
from apiserver.auth.authorization.rules import Rule
from apiserver.request.info import RequestInfo
from apiserver.request.user import User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry
from kubeapi.rbac._bindings import GROUP_KIND, SERVICE_ACCOUNT, Binding, Subject
from kubeapi.rbac._rules import GROUP
from kubeapi.rbac.clusterrole import ClusterRole
from kubeapi.rbac.clusterrolebinding import ClusterRoleBinding
from kubeapi.rbac.role import Role
from kubeapi.rbac.rolebinding import RoleBinding

MAX_DECISIONS = 8192  # kept answers; when they are as many, all are forgotten

Question = tuple[str, tuple[str, ...], RequestInfo]
"""The user's name and groups, and the request."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a binding gives to one of its subjects."""

    decision: Decision
    """The answer to a request that one of the rules allows."""
    rules: tuple[Rule, ...]
    missing: str = ""
    """The error for a role that doesn't exist."""


class Holder(NamedTuple):
    """A user or group, as requests name them; a service account is a user."""

    is_group: bool
    name: str


class RuleSet:
    """All roles and bindings of one moment."""

    def __init__(self, roles: Iterable[Role | ClusterRole], bindings: Iterable[Binding]) -> None:
        self._rules: dict[tuple[str, str, str], tuple[Rule, ...]] = {}
        for role in roles:
            key = (type(role).__name__, role.namespace, role.name)
            self._rules[key] = tuple(Rule(rule) for rule in role.rules)
        self._grants: dict[tuple[str, Holder], list[Grant]] = {}
        """By namespace ("" for the whole cluster) and holder."""
        for binding in sorted(bindings, key=lambda item: (item.namespace, item.name)):
            for subject in binding.subjects or ():
                if (holder := _holder(subject, binding.namespace)) is not None:
                    self._grants.setdefault((binding.namespace, holder), []).append(self._grant(binding, subject))
        self._decisions: dict[Question, Decision] = {}

    def _grant(self, binding: Binding, subject: Subject) -> Grant:
        ref = binding.roleRef
        rules = self._rules.get((ref.kind, binding.namespace if ref.kind == "Role" else "", ref.name))
        decision = Decision("allow", _reason(binding, subject))
        if rules is None:
            return Grant(decision, (), f'{ref.kind.lower()}.{GROUP} "{ref.name}" not found')
        return Grant(decision, rules)

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """Yields what the user holds in the whole cluster, then what the user holds in the namespace."""
        holders = [Holder(False, user.name), *(Holder(True, group) for group in user.groups)]
        for place in ("", namespace) if namespace else ("",):
            for holder in holders:
                yield from self._grants.get((place, holder), ())

    def decide(self, user: User, info: RequestInfo) -> Decision:
        """Allows, or has no opinion: rules never forbid."""
        if info.fields is not None:
            info = info._replace(fields=None)  # no rule looks at selectors, and each would be a question of its own
        question = (user.name, user.groups, info)
        decision = self._decisions.get(question)
        if decision is None:
            if len(self._decisions) >= MAX_DECISIONS:
                self._decisions.clear()
            decision = self._decisions[question] = self._decide(user, info)
        return decision

    def _decide(self, user: User, info: RequestInfo) -> Decision:
        errors: dict[str, None] = {}
        for grant in self.grants(user, info.namespace if info.is_resource else ""):
            if grant.missing:
                errors[grant.missing] = None
            elif any(rule.allows(info) for rule in grant.rules):
                return grant.decision
        return Decision("no opinion", f"RBAC: {join_errors(list(errors))}" if errors else "")

    def rules(self, user: User, namespace: str) -> Rules:
        resources: list[ResourceRule] = []
        paths: list[PathRule] = []
        errors: dict[str, None] = {}
        for grant in self.grants(user, namespace):
            if grant.missing:
                errors[grant.missing] = None
            for spec in (rule.spec for rule in grant.rules):
                verbs = tuple(spec.verbs)
                if spec.resources:
                    names = tuple(spec.resourceNames or ())
                    resources.append(ResourceRule(verbs, tuple(spec.apiGroups or ()), tuple(spec.resources), names))
                if spec.nonResourceURLs:
                    paths.append(PathRule(verbs, tuple(spec.nonResourceURLs)))
        return Rules(tuple(resources), tuple(paths), error=join_errors(list(errors)))


def _holder(subject: Subject, namespace: str) -> Holder | None:
    """Returns who is meant; None for a service account of no namespace. `namespace` is the binding's."""
    if subject.kind != SERVICE_ACCOUNT:
        return Holder(subject.kind == GROUP_KIND, subject.name)
    place = subject.namespace or namespace
    return Holder(False, f"{USER_PREFIX}{place}:{subject.name}") if place else None


def _reason(binding: Binding, subject: Subject) -> str:
    kind, ref = type(binding).__name__, binding.roleRef
    name = f"{binding.name}/{binding.namespace}" if binding.namespace else binding.name
    holder = subject.name
    if subject.kind == SERVICE_ACCOUNT:
        holder += f"/{subject.namespace or binding.namespace}"
    return f"RBAC: allowed by {kind} {quote(name)} of {ref.kind} {quote(ref.name)} to {subject.kind} {quote(holder)}"


class Rbac:
    """The authorizer on the roles and bindings of the watch cache."""

    def __init__(self, storage: CachedStorage) -> None:
        self._storage = storage
        self._roles: list[Resource[Any]] = [resource_of(Role), resource_of(ClusterRole)]
        self._bindings: list[Resource[Any]] = [resource_of(RoleBinding), resource_of(ClusterRoleBinding)]
        self._changed: list[int] = []
        self._rule_set = RuleSet((), ())
        self._decoded: dict[str, tuple[Entry, Any]] = {}

    def authorize(self, user: User, info: RequestInfo) -> Decision:
        return self._current().decide(user, info)

    def rules(self, user: User, namespace: str) -> Rules:
        return self._current().rules(user, namespace)

    def _current(self) -> RuleSet:
        changed = [self._storage.changed(resource) for resource in (*self._roles, *self._bindings)]
        if changed != self._changed:
            decoded: dict[str, tuple[Entry, Any]] = {}
            roles = [obj for resource in self._roles for obj in self._objects(resource, decoded)]
            bindings = [obj for resource in self._bindings for obj in self._objects(resource, decoded)]
            self._rule_set, self._decoded, self._changed = RuleSet(roles, bindings), decoded, changed
        return self._rule_set

    def _objects(self, resource: Resource[Any], decoded: dict[str, tuple[Entry, Any]]) -> Iterator[Any]:
        """Yields the objects of a resource, and keeps them in `decoded`: only those that changed are decoded."""
        for entry in self._storage.snapshot(resource):
            kept = self._decoded.get(entry.key)
            if kept is None or kept[0] is not entry:
                kept = (entry, decode(resource.model, entry.value))
            decoded[entry.key] = kept
            yield kept[1]
