"""Which requests a policy or a webhook is about: rules and selectors, for all kinds of them.

What depends on the kind of request alone (`of_kind`) is worked out once for each kind; `matches` is asked for each
request that is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from apimachinery.meta import LabelSelector, Object
from apimachinery.resource import Resource
from apimachinery.selectors import Selector, selector_of
from apiserver.admission._plugin import CREATE, DELETE, UPDATE, Attributes, Lookup
from kubeapi.admissionregistration._matching import MatchResources
from kubeapi.admissionregistration._rules import ALL, NAMESPACED, RuleWithOperations

NO_LABELS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class RequestKind:
    """What rules ask of a request."""

    group: str
    version: str
    resource: str
    subresource: str
    operation: str
    namespaced: bool

    @classmethod
    def of(cls, attributes: Attributes) -> RequestKind:
        resource = attributes.resource
        return cls(
            resource.group,
            resource.version,
            resource.plural,
            attributes.subresource,
            attributes.operation,
            resource.namespaced,
        )

    def in_version(self, other: Resource[Any]) -> RequestKind:
        """The same request, had it been made in another version of the resource."""
        return replace(self, group=other.group, version=other.version, resource=other.plural)


def rule_matches(rule: RuleWithOperations, kind: RequestKind) -> bool:
    return (
        _listed(rule.operations, kind.operation)
        and _listed(rule.apiGroups, kind.group)
        and _listed(rule.apiVersions, kind.version)
        and any(_is_resource(text, kind) for text in rule.resources or ())
        and (rule.scope in (None, ALL) or (rule.scope == NAMESPACED) is kind.namespaced)
    )


def _listed(values: Sequence[str] | None, value: str) -> bool:
    return values is not None and (value in values or ALL in values)


def _is_resource(text: str, kind: RequestKind) -> bool:
    resource, _, subresource = text.partition("/")
    return resource in (ALL, kind.resource) and (subresource == kind.subresource or subresource == ALL)


class Selectors:
    """The labels that a namespace and an object must have."""

    __slots__ = ("_namespaces", "_objects")

    def __init__(self, namespaces: LabelSelector | None, objects: LabelSelector | None) -> None:
        """None selects everything. Raises: BadRequest."""
        self._namespaces = _selector(namespaces)
        self._objects = _selector(objects)

    def match(self, attributes: Attributes, lookup: Lookup) -> bool:
        if self._namespaces is not None:
            labels = namespace_labels(attributes, lookup)
            if labels is not None and not self._namespaces.matches(labels):
                return False
        if self._objects is None:
            return True
        return any(self._objects.matches(labels) for labels in _object_labels(attributes))


def _selector(selector: LabelSelector | None) -> Selector | None:
    made = selector_of(selector or LabelSelector())
    return None if made.empty else made


def namespace_labels(attributes: Attributes, lookup: Lookup) -> Mapping[str, str] | None:
    """The labels that decide about a namespace: of the object's, or of the object if it is one. None for all others."""
    resource = attributes.resource
    if resource.plural == "namespaces" and not resource.group:
        if attributes.operation != DELETE and not attributes.subresource:
            return dict(attributes.obj.labels)
        name = attributes.name
    elif resource.namespaced:
        name = attributes.namespace
    else:
        return None
    entry = lookup.storage.latest(lookup.resource("namespaces"), "", name)
    return entry.labels if entry is not None else NO_LABELS


def _object_labels(attributes: Attributes) -> list[Mapping[str, str]]:
    return [obj.labels for obj in (attributes.obj, attributes.old) if isinstance(obj, Object)]


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules that match a kind of request: some only for objects of certain names."""

    always: bool
    names: frozenset[str]
    kind: RequestKind
    """The kind of the request, or its equivalent, that the first of them is about."""

    @classmethod
    def of(cls, rules: Iterable[RuleWithOperations], kinds: Sequence[RequestKind]) -> _Rules:
        matching = [(rule, kind) for kind in kinds for rule in rules if rule_matches(rule, kind)]
        names = [getattr(rule, "resourceNames", None) for rule, _ in matching]
        some = frozenset(name for listed in names for name in listed or ())
        return cls(not all(names), some, matching[0][1] if matching else kinds[0])

    def __bool__(self) -> bool:
        return self.always or bool(self.names)

    def match(self, name: str) -> bool:
        return self.always or name in self.names


@dataclass(frozen=True, slots=True)
class KindMatch:
    """What is left to ask of a request of one kind."""

    included: _Rules
    excluded: _Rules
    selectors: Selectors

    @property
    def kind(self) -> RequestKind:
        """The request, as it would have been made in the version that the rules are about."""
        return self.included.kind

    def matches(self, attributes: Attributes, lookup: Lookup) -> bool:
        name = attributes.name
        if not self.included.match(name) or self.excluded.match(name):
            return False
        return self.selectors.match(attributes, lookup)


class Matcher:
    """The constraints of a policy, or of a binding, which needs no rules."""

    def __init__(self, match: MatchResources | None, *, needs_rules: bool) -> None:
        """Raises: BadRequest for a selector that can't be read."""
        self._match = match or MatchResources()
        self._needs_rules = needs_rules
        self._selectors = Selectors(self._match.namespaceSelector, self._match.objectSelector)

    def of_kind(self, kind: RequestKind, equivalents: Sequence[RequestKind]) -> KindMatch | None:
        """Returns None if no request of that kind matches. `equivalents`: how the same request would be made in other
        versions."""
        kinds = [kind, *equivalents] if self._match.matchPolicy != "Exact" else [kind]
        rules = self._match.resourceRules or ()
        included = _Rules.of(rules, kinds) if rules or self._needs_rules else _Rules(True, frozenset(), kind)
        excluded_rules = self._match.excludeResourceRules or ()
        excluded = _Rules.of(excluded_rules, kinds) if excluded_rules else _Rules(False, frozenset(), kind)
        return KindMatch(included, excluded, self._selectors) if included and not excluded.always else None


OPERATIONS = frozenset({CREATE, UPDATE, DELETE})
