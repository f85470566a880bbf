"""Decides by the rules of roles, and by the bindings that grant them.

Bindings are turned into grants of their subjects when one of the objects changes, so a decision looks at those of the
user and the user's groups alone. What it finds is kept until the next change, for all objects of a kind together.

Source: Kubernetes documentation, "Using RBAC Authorization".
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from apimachinery.errors import ServiceUnavailable, join_errors, quote
from apimachinery.model import decode
from apimachinery.resource import Resource, resource_of
from apiserver.auth.authentication.tokens import USER_PREFIX
from apiserver.auth.authorization.authorizer import Decision, PathRule, ResourceRule, Rules
from apiserver.auth.authorization.rules import Rule
from apiserver.request.info import RequestInfo
from apiserver.request.user import User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry
from kubeapi.rbac._bindings import GROUP_KIND, SERVICE_ACCOUNT, Binding, RoleRef, Subject
from kubeapi.rbac._rules import GROUP
from kubeapi.rbac.clusterrole import ClusterRole
from kubeapi.rbac.clusterrolebinding import ClusterRoleBinding
from kubeapi.rbac.role import Role
from kubeapi.rbac.rolebinding import RoleBinding

MAX_ANSWERS = 8192  # kept answers; when they are as many, all are forgotten

Shape = tuple[str | tuple[str, ...], ...]
"""The facts that an answer depends on: the user's name and groups, and the request but for the name of the object."""

Answer = tuple[tuple[frozenset[str], Decision], ...]
"""Decisions, each with the names of the objects that it is about, none for all. The first about an object counts."""


class RoleKey(NamedTuple):
    kind: str
    namespace: str
    name: str


class Holder(NamedTuple):
    """A user or group, as requests name them; a service account is a user."""

    is_group: bool
    name: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that a binding gives to one of its subjects."""

    binding: str
    role: RoleKey
    decision: Decision
    """The answer to a request that one of the role's rules allows."""


class RuleSet:
    """All roles and bindings, kept up to date object by object."""

    def __init__(self, roles: Iterable[Role | ClusterRole] = (), bindings: Iterable[Binding] = ()) -> None:
        self._rules: dict[RoleKey, tuple[Rule, ...]] = {}
        self._grants: dict[tuple[str, Holder], list[Grant]] = {}
        """By namespace ("" for the whole cluster) and holder, in the order of the bindings' names."""
        self._answers: dict[Shape, Answer] = {}
        for obj in (*roles, *bindings):
            self.add(obj)

    def add(self, obj: Role | ClusterRole | Binding) -> None:
        """Takes a role or binding that is new."""
        self._answers.clear()
        if not isinstance(obj, Binding):
            key = RoleKey(type(obj).__name__, obj.namespace, obj.name)
            self._rules[key] = tuple(Rule(rule) for rule in obj.rules)
            return
        role = role_key(obj.roleRef, obj.namespace)
        for subject in obj.subjects or ():
            if (holder := _holder(subject, obj.namespace)) is not None:
                grant = Grant(obj.name, role, Decision("allow", _reason(obj, subject)))
                insort(self._grants.setdefault((obj.namespace, holder), []), grant, key=attrgetter("binding"))

    def remove(self, obj: Role | ClusterRole | Binding) -> None:
        """Takes away a role or binding, as it was added."""
        self._answers.clear()
        if not isinstance(obj, Binding):
            self._rules.pop(RoleKey(type(obj).__name__, obj.namespace, obj.name), None)
            return
        for subject in obj.subjects or ():
            if (holder := _holder(subject, obj.namespace)) is not None:
                key = (obj.namespace, holder)
                grants = [grant for grant in self._grants.pop(key, ()) if grant.binding != obj.name]
                if grants:
                    self._grants[key] = grants

    def rules_of(self, role: RoleKey) -> tuple[Rule, ...] | None:
        """Returns the rules of a role; None if the role doesn't exist."""
        return self._rules.get(role)

    def _held(self, user: User, namespace: str) -> Iterator[Grant]:
        """Yields what the user holds in the whole cluster, then what the user holds in the namespace."""
        holders = [Holder(False, user.name), *(Holder(True, group) for group in user.groups)]
        for place in ("", namespace) if namespace else ("",):
            for holder in holders:
                yield from self._grants.get((place, holder), ())

    def held_rules(self, user: User, namespace: str) -> tuple[list[Rule], list[str]]:
        """Returns the rules that the user holds, and an error for each role that doesn't exist."""
        rules: list[Rule] = []
        errors: dict[str, None] = {}
        for grant in self._held(user, namespace):
            granted = self._rules.get(grant.role)
            if granted is None:
                errors[_missing(grant.role)] = None
            else:
                rules += granted
        return rules, list(errors)

    def decide(self, user: User, info: RequestInfo) -> Decision:
        """Allows, or has no opinion: rules never forbid."""
        shape: Shape
        if info.is_resource:
            shape = (user.name, user.groups, info.verb, info.group, info.namespace, info.resource, info.subresource)
        else:
            shape = (user.name, user.groups, info.verb, info.path)
        answer = self._answers.get(shape)
        if answer is None:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            answer = self._answers[shape] = tuple(self._decisions(user, info))
        for names, decision in answer:
            if not names or info.name in names:
                return decision
        raise AssertionError("the last decision of an answer is about all objects")

    def _decisions(self, user: User, info: RequestInfo) -> Iterator[tuple[frozenset[str], Decision]]:
        errors: dict[str, None] = {}
        for grant in self._held(user, info.namespace if info.is_resource else ""):
            rules = self._rules.get(grant.role)
            if rules is None:
                errors[_missing(grant.role)] = None
                continue
            for rule in rules:
                if rule.allows(info):
                    yield rule.names, grant.decision
                    if not rule.names:
                        return
        yield frozenset(), Decision("no opinion", f"RBAC: {join_errors(list(errors))}" if errors else "")

    def rules(self, user: User, namespace: str) -> Rules:
        """Lists the rules that the user holds."""
        held, errors = self.held_rules(user, namespace)
        specs = [rule.spec for rule in held]
        return Rules(
            tuple(
                ResourceRule(
                    tuple(spec.verbs),
                    tuple(spec.apiGroups or ()),
                    tuple(spec.resources),
                    tuple(spec.resourceNames or ()),
                )
                for spec in specs
                if spec.resources
            ),
            tuple(PathRule(tuple(spec.verbs), tuple(spec.nonResourceURLs)) for spec in specs if spec.nonResourceURLs),
            error=join_errors(errors),
        )


def role_key(ref: RoleRef, namespace: str) -> RoleKey:
    """Returns the role that a binding of the namespace refers to."""
    return RoleKey(ref.kind, namespace if ref.kind == "Role" else "", ref.name)


def _missing(role: RoleKey) -> str:
    return f'{role.kind.lower()}.{GROUP} "{role.name}" not found'


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
        kinds = (Role, ClusterRole, RoleBinding, ClusterRoleBinding)
        self._resources: list[Resource[Any]] = [resource_of(kind) for kind in kinds]
        self._rule_set = RuleSet()
        self._objects: dict[str, tuple[Entry, Any]] = {}
        """By key: the entry that is in the rule set, and what it holds."""
        self._follows = self._is_current = False

    def authorize(self, user: User, info: RequestInfo) -> Decision:
        """Raises: ServiceUnavailable instead of a refusal while the roles have not been read yet."""
        decision = self.current().decide(user, info)
        if not decision.allowed and not self._storage.loaded:
            raise ServiceUnavailable("the storage is not available: the watch cache is not loaded yet", {}, [], 1)
        return decision

    def rules(self, user: User, namespace: str) -> Rules:
        return self.current().rules(user, namespace)

    def current(self) -> RuleSet:
        """Returns the rule set as of the watch cache's revision."""
        if not self._is_current:
            self._update()
        return self._rule_set

    def _update(self) -> None:
        if not self._follows:  # not before the first question: then every resource has its table
            self._follows = True
            for resource in self._resources:
                self._storage.on_change(resource, self._expire)
        gone = dict(self._objects)
        for resource in self._resources:
            for entry in self._storage.snapshot(resource):
                previous = gone.pop(entry.key, None)
                if previous is None or previous[0] is not entry:
                    obj = decode(resource.model, entry.value)
                    if previous is not None:
                        self._rule_set.remove(previous[1])
                    self._rule_set.add(obj)
                    self._objects[entry.key] = (entry, obj)
        for key, (_, obj) in gone.items():
            self._rule_set.remove(obj)
            del self._objects[key]
        self._is_current = True

    def _expire(self) -> None:
        self._is_current = False
