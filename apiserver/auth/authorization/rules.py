"""Rules of roles: which requests one allows, and which rules are covered by others.

Source: Kubernetes documentation, "Using RBAC Authorization".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from apiserver.request.info import RequestInfo
from kubeapi.rbac._rules import PolicyRule

ALL = "*"
MAX_SIMPLE_RULES = 10_000  # what is taken apart at a time: some 100 ms
MAX_MISSING = 1000  # missing rules; a role that lacks more is refused without a full list


class Rule:
    """One rule of a role, prepared for many questions."""

    __slots__ = ("_groups", "_paths", "_prefixes", "_resources", "_verbs", "names", "spec")

    def __init__(self, spec: PolicyRule) -> None:
        self.spec = spec
        self.names = frozenset(spec.resourceNames or ())
        """The objects that the rule is limited to; none for all."""
        self._verbs = frozenset(spec.verbs)
        self._groups = frozenset(spec.apiGroups or ())
        self._resources = frozenset(spec.resources or ())
        paths = spec.nonResourceURLs or ()
        self._paths = frozenset(paths)
        self._prefixes = tuple(path.rstrip(ALL) for path in paths if path.endswith(ALL))

    def allows(self, info: RequestInfo) -> bool:
        """Tells whether the rule allows the request, whatever object it names: `names` are left to the caller."""
        if not self._has_verb(info.verb):
            return False
        if not info.is_resource:
            return self._has_path(info.path)
        return self._has_group(info.group) and self._has_resource(
            f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        )

    def covers(self, spec: PolicyRule) -> bool:
        """Tells whether this rule alone allows all that the other does."""
        return (
            all(map(self._has_verb, spec.verbs))
            and all(map(self._has_group, spec.apiGroups or ()))
            and all(map(self._has_resource, spec.resources or ()))
            and all(map(self._has_path, spec.nonResourceURLs or ()))
            and (not self.names or (bool(spec.resourceNames) and self.names.issuperset(spec.resourceNames or ())))
        )

    def _has_verb(self, verb: str) -> bool:
        return verb in self._verbs or ALL in self._verbs

    def _has_group(self, group: str) -> bool:
        return group in self._groups or ALL in self._groups

    def _has_resource(self, resource: str) -> bool:
        """`resource` is one with its subresource: "pods/log"."""
        if resource in self._resources or ALL in self._resources:
            return True
        _, slash, subresource = resource.partition("/")
        return bool(slash) and f"{ALL}/{subresource}" in self._resources

    def _has_path(self, path: str) -> bool:
        return path in self._paths or path.startswith(self._prefixes)


class RuleIndex:
    """Rules by the resources that they name, to find those quickly that may cover another rule."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_resource: dict[str, list[Rule]] = {}
        self._with_paths: list[Rule] = []
        for rule in dict.fromkeys(rules):  # several bindings may give the same role
            for resource in rule.spec.resources or ():
                self._by_resource.setdefault(resource, []).append(rule)
            if rule.spec.nonResourceURLs:
                self._with_paths.append(rule)

    def uncovered(self, specs: Iterable[PolicyRule]) -> list[PolicyRule]:
        """Returns what the other rules allow and these don't, each with one verb and one group, resource and name, or
        one path.

        The list ends early once it has MAX_MISSING rules, or with a rule, as it is, that would have to be taken apart
        beyond MAX_SIMPLE_RULES. It is empty only if nothing is missing.
        """
        missing: list[PolicyRule] = []
        left = MAX_SIMPLE_RULES
        for spec in specs:
            if self._covers(spec):
                continue
            left -= _count_combinations(spec)
            if left < 0:
                return [*missing, spec]
            missing += (simple for simple in _take_apart(spec) if not self._covers(simple))
            if len(missing) >= MAX_MISSING:
                break
        return missing

    def _covers(self, spec: PolicyRule) -> bool:
        return any(rule.covers(spec) for rule in self._candidates(spec))

    def _candidates(self, spec: PolicyRule) -> Iterator[Rule]:
        if not spec.resources:
            yield from self._with_paths
            return
        resource = spec.resources[0]
        _, slash, subresource = resource.partition("/")
        for key in {resource, ALL, f"{ALL}/{subresource}" if slash else ALL}:
            yield from self._by_resource.get(key, ())


def _count_combinations(spec: PolicyRule) -> int:
    objects = len(spec.apiGroups or ()) * len(spec.resources or ()) * max(1, len(spec.resourceNames or ()))
    return len(spec.verbs) * (objects + len(spec.nonResourceURLs or ()))


def _take_apart(spec: PolicyRule) -> Iterator[PolicyRule]:
    names: Iterable[list[str] | None] = [[name] for name in spec.resourceNames] if spec.resourceNames else [None]
    for group, resource, verb, name in product(spec.apiGroups or (), spec.resources or (), spec.verbs, names):
        yield PolicyRule(verbs=[verb], apiGroups=[group], resources=[resource], resourceNames=name)
    for path, verb in product(spec.nonResourceURLs or (), spec.verbs):
        yield PolicyRule(verbs=[verb], nonResourceURLs=[path])
