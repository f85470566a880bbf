"""The policies in force, compiled when they are needed, with their bindings and parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

import orjson

from apimachinery.errors import FieldError, StatusError
from apimachinery.model import decode
from apimachinery.resource import Resource
from apimachinery.selectors import selector_of
from apiserver.admission._index import RequestIndex
from apiserver.admission._matching import Matcher, RequestKind
from apiserver.admission._plugin import Attributes, Lookup, refused
from apiserver.admission.policies._evaluation import Lazily
from apiserver.storage.interface import Entry
from kubeapi.admissionregistration._expressions import BOOLEAN, Scope, described
from kubeapi.admissionregistration._policy import ParamKind, PolicyBindingSpec
from kubeapi.admissionregistration._rules import GROUP
from kubecel import CompileError, Program

S = TypeVar("S", bound="Compiled")

OWN_KINDS = frozenset(
    f"{kind}{part}" for kind in ("validatingadmissionpolic", "mutatingadmissionpolic") for part in ("ies", "ybindings")
)
"""No policy is about policies: one that refused all would stay forever."""
REVIEWS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})


class NotConfigured(Exception):
    """A binding can't be evaluated: its parameters are missing, or can't be found."""


@dataclass(frozen=True)
class Compiled:
    """The expressions of a policy."""

    conditions: Sequence[tuple[str, Program]]
    variables: Mapping[str, Program]

    @cached_property
    def uses(self) -> frozenset[str]:
        """The variables that its expressions use."""
        return frozenset().union(*(program.uses for program in self.programs()))

    def programs(self) -> Iterator[Program]:
        yield from (program for _, program in self.conditions)
        yield from self.variables.values()


class Policy(Generic[S]):
    """A policy; its expressions are compiled for the first request that it is about."""

    def __init__(self, policy: Any, size: int, compile: Callable[[Any], S]) -> None:
        """`size`: bytes of the encoded policy, which holds the expressions. `compile` may raise CompileError."""
        spec = policy.spec
        self.name: str = policy.name
        self.param_kind: ParamKind | None = spec.paramKind
        self.fails: bool = spec.failurePolicy != "Ignore"
        """Whether a request is refused when the policy can't be evaluated."""
        self.again: bool = getattr(spec, "reinvocationPolicy", None) == "IfNeeded"
        """Whether a policy that changes objects is asked once more if a later one has changed its object."""
        self.fault = ""
        """Why it can't be evaluated, as far as that is known without its expressions; "" if it can."""
        try:
            self.matcher = Matcher(spec.matchConstraints, needs_rules=True)
        except StatusError as error:  # checked when it was written, by a server that may have been another
            self.matcher, self.fault = Matcher(None, needs_rules=True), str(error)
        self._compiled = Lazily(size, partial(compile, policy))

    def compiled(self, *, inline: bool) -> S:
        """Raises: NotConfigured, where they can't be compiled; TooCostly, where that takes a thread."""
        try:
            return self._compiled.get(inline=inline)
        except CompileError as error:  # checked when it was written, by a server that may have been another
            raise NotConfigured(described(error)) from None


@dataclass(frozen=True)
class Bound(Generic[S]):
    """A policy by one of its bindings."""

    policy: Policy[S]
    binding: str
    spec: PolicyBindingSpec


class PolicySet(RequestIndex[Bound[S]]):
    """All policies of one kind with their bindings, in the order of their names."""

    def __init__(
        self,
        lookup: Lookup,
        policies: Resource[Any],
        bindings: Resource[Any],
        compile_policy: Callable[[Any], S],
        *,
        converts: bool,
    ) -> None:
        """`converts`: a policy sees objects in the version that it is about, where a request is made in another."""
        super().__init__(lookup, policies, bindings)
        self.converts = converts
        self._policies, self._bindings, self._compile = policies, bindings, compile_policy
        self._known: dict[str, tuple[int, Policy[S]]] = {}
        """By name, with the revision."""

    def read(self) -> list[tuple[Bound[S], Sequence[Matcher]]]:
        """Takes over the policies that have changed, and binds all anew."""
        before, self._known = self._known, {}
        for entry in self.lookup.storage.snapshot(self._policies):
            known = before.get(entry.name)
            if known is None or known[0] != entry.revision:
                policy = decode(self._policies.model, entry.value)
                known = entry.revision, Policy(policy, len(entry.value), self._compile)
            self._known[entry.name] = known
        bindings = [decode(self._bindings.model, entry.value) for entry in self.lookup.storage.snapshot(self._bindings)]
        bound = [
            (
                Bound(policy := self._known[spec.policyName][1], binding.name, spec),
                (policy.matcher, Matcher(spec.matchResources, needs_rules=False)),
            )
            for binding in bindings
            if (spec := binding.spec).policyName in self._known
        ]
        return sorted(bound, key=lambda each: (each[0].policy.name, each[0].binding))

    def spares(self, kind: RequestKind, resource: Resource[Any]) -> bool:
        own = kind.group == GROUP and kind.resource in OWN_KINDS
        return own or (kind.group in REVIEWS and not resource.stored)


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
