"""The policies in force: compiled once, found by the kind of request that they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

import orjson

from apimachinery.errors import FieldError, StatusError
from apimachinery.model import decode
from apimachinery.resource import Resource
from apimachinery.selectors import selector_of
from apiserver.admission._matching import KindMatch, Matcher, RequestKind
from apiserver.admission._plugin import UPDATE, Attributes, Lookup, refused
from apiserver.storage.interface import Entry
from kubeapi.admissionregistration._expressions import BOOLEAN, Scope
from kubeapi.admissionregistration._policy import ParamKind, PolicyBindingSpec
from kubeapi.admissionregistration._rules import GROUP
from kubecel import Program

S = TypeVar("S", bound="Compiled")

OWN_KINDS = frozenset(
    f"{kind}{part}" for kind in ("validatingadmissionpolic", "mutatingadmissionpolic") for part in ("ies", "ybindings")
)
"""No policy is about policies: one that refused all would stay forever."""
REVIEWS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
MOST_KINDS = 4096  # kinds of requests that are remembered; then all are forgotten


class NotConfigured(Exception):
    """A binding can't be evaluated: its parameters are missing, or can't be found."""


@dataclass(frozen=True)
class Compiled:
    """A policy with its expressions compiled."""

    name: str
    fails: bool
    """Whether a request is refused when the policy can't be evaluated."""
    param_kind: ParamKind | None
    matcher: Matcher
    conditions: Sequence[tuple[str, Program]]
    variables: Mapping[str, Program]
    fault: str
    """Why it can't be evaluated; "" if it can."""

    @cached_property
    def uses(self) -> frozenset[str]:
        """The variables that its expressions use."""
        return frozenset().union(*(program.uses for program in self.programs()))

    def programs(self) -> Iterator[Program]:
        yield from (program for _, program in self.conditions)
        yield from self.variables.values()


@dataclass(frozen=True)
class Bound(Generic[S]):
    """A policy by one of its bindings."""

    policy: S
    binding: str
    spec: PolicyBindingSpec
    matcher: Matcher


@dataclass(frozen=True)
class Candidate(Generic[S]):
    """A bound policy that may be about a request of some kind."""

    bound: Bound[S]
    matches: tuple[KindMatch, KindMatch]
    version: Resource[Any]
    """The version of the resource that the policy's rules are about."""


Compile = Callable[[Any], S]


@dataclass
class PolicySet(Generic[S]):
    """All policies of one kind with their bindings, as the watch cache has them."""

    lookup: Lookup
    policies: Resource[Any]
    bindings: Resource[Any]
    compile: Callable[[Any], S]
    converts: bool
    """Whether objects are shown in the version that a policy is about, where a request is made in another."""
    _seen: tuple[int, int] = (-1, -1)
    _kept: dict[str, tuple[int, S]] = field(default_factory=dict)
    _bound: list[Bound[S]] = field(default_factory=list)
    _kinds: dict[tuple[str, ...], list[Candidate[S]]] = field(default_factory=dict)

    def about(self, attributes: Attributes) -> list[Candidate[S]]:
        """Returns the policies that are about the request, in the order of their names."""
        storage = self.lookup.storage
        state = storage.changed(self.policies), storage.changed(self.bindings)
        if state != self._seen:
            self._read(state)
        if not self._bound:
            return []
        resource = attributes.resource
        key = resource.group, resource.version, resource.plural, attributes.subresource, attributes.operation
        candidates = self._kinds.get(key)
        if candidates is None:
            if len(self._kinds) >= MOST_KINDS:
                self._kinds.clear()
            candidates = self._kinds[key] = list(self._candidates(RequestKind.of(attributes), resource))
        return [
            candidate
            for candidate in candidates
            if all(match.matches(attributes, self.lookup) for match in candidate.matches)
        ]

    def _read(self, state: tuple[int, int]) -> None:
        """Compiles the policies that have changed, and binds all anew."""
        kept: dict[str, tuple[int, S]] = {}
        for entry in self.lookup.storage.snapshot(self.policies):
            known = self._kept.get(entry.name)
            if known is None or known[0] != entry.revision:
                known = entry.revision, self.compile(decode(self.policies.model, entry.value))
            kept[entry.name] = known
        self._kept = kept
        bindings = [decode(self.bindings.model, entry.value) for entry in self.lookup.storage.snapshot(self.bindings)]
        bound = [
            Bound(kept[spec.policyName][1], binding.name, spec, Matcher(spec.matchResources, needs_rules=False))
            for binding in bindings
            if (spec := binding.spec).policyName in kept
        ]
        self._bound = sorted(bound, key=lambda each: (each.policy.name, each.binding))
        self._kinds = {}
        self._seen = state

    def _candidates(self, kind: RequestKind, resource: Resource[Any]) -> Iterator[Candidate[S]]:
        if kind.subresource == "binding" and kind.operation == UPDATE:
            return  # what a Binding, which has passed them, makes of its pod
        if (kind.group == GROUP and kind.resource in OWN_KINDS) or (kind.group in REVIEWS and not resource.stored):
            return
        versions = self.lookup.equivalents(resource) if self.converts else []
        others = [kind.in_version(version) for version in versions]
        by_kind = dict(zip((kind, *others), (resource, *versions), strict=True))
        for bound in self._bound:
            policy, binding = bound.policy.matcher.of_kind(kind, others), bound.matcher.of_kind(kind, others)
            if policy is not None and binding is not None:
                yield Candidate(bound, (policy, binding), by_kind[policy.kind])


def compile_parts(spec: Any, scope: Scope) -> tuple[list[tuple[str, Program]], dict[str, Program]]:
    """Compiles the conditions and variables of a policy, and declares these. Raises: CompileError."""
    conditions = [
        (condition.name, scope.compile(condition.expression, expected=BOOLEAN, variables=False))
        for condition in spec.matchConditions or ()
    ]
    variables: dict[str, Program] = {}
    if spec.variables:
        scope.declare_variables()
    for variable in spec.variables or ():
        program = variables[variable.name] = scope.compile(variable.expression)
        scope.declare(variable.name, program.type)
    return conditions, variables


CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


def denied(attributes: Attributes, message: str, reason: str = "Invalid", *, whole: bool = False) -> StatusError:
    """The answer to a request that a policy refuses; `whole`: the message says itself what is refused."""
    error = refused(attributes, message, [FieldError("", "", message)])
    if whole:
        error.message, error.code = message, 403
    else:
        error.code = CODES.get(reason, 422)
    error.reason = reason
    return error


class Params:
    """Finds the objects with parameters of a binding."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def of(self, bound: Bound[Any], namespace: str) -> list[dict[str, Any] | None]:
        """Returns the parameters to evaluate the policy with, one after the other: [None] where it takes none.
        `namespace` is the object's. Raises: NotConfigured."""
        kind, ref = bound.policy.param_kind, bound.spec.paramRef
        if kind is None or ref is None:
            return [None]
        resource = self._lookup.of_kind(kind.apiVersion or "", kind.kind or "")
        if resource is None or not resource.stored:
            named = f"{kind.apiVersion}, Kind={kind.kind}"
            raise NotConfigured(f"paramKind kind `{named}` not known")
        if not resource.namespaced and ref.namespace:
            raise NotConfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        where = (ref.namespace or namespace) if resource.namespaced else ""
        if resource.namespaced and not where:
            raise NotConfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
        entries = self._named(resource, where, ref.name) if ref.name else self._selected(resource, where, ref.selector)
        if not entries and ref.parameterNotFoundAction == "Deny":
            raise NotConfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
        return [orjson.loads(entry.value) for entry in entries]

    def _named(self, resource: Resource[Any], namespace: str, name: str) -> list[Entry]:
        entry = self._lookup.storage.latest(resource, namespace, name)
        return [entry] if entry is not None else []

    def _selected(self, resource: Resource[Any], namespace: str, selector: Any) -> list[Entry]:
        matcher = selector_of(selector)
        entries = (
            self._lookup.storage.latest_in_namespace(resource, namespace)
            if resource.namespaced
            else sorted(self._lookup.storage.snapshot(resource), key=lambda entry: entry.name)
        )
        return [entry for entry in entries if matcher.matches(entry.labels)]


def compiled_matcher(policy: Any) -> tuple[Matcher, str]:
    """The matcher of a policy's constraints, and why they can't be used."""
    try:
        return Matcher(policy.spec.matchConstraints, needs_rules=True), ""
    except StatusError as error:  # checked when it was written, by a server that may have been another
        return Matcher(None, needs_rules=True), str(error)
