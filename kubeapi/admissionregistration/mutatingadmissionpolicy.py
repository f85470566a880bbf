"""MutatingAdmissionPolicy: changes the objects of requests by expressions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Atomic, ListMapKeys, MergeKey, Model
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.admissionregistration._expressions import APPLIED, CONSTRUCTIBLE, JSON_PATCH, Scope, check_expression
from kubeapi.admissionregistration._matching import MatchResources, default_match
from kubeapi.admissionregistration._policy import AtomicVariables, ParamKind, param_kind_cell
from kubeapi.admissionregistration._rules import FAIL, GROUP, MatchCondition
from kubeapi.admissionregistration._variables import check_matching_part, check_variables
from kubecel import Type, list_of

APPLY, PATCH = "ApplyConfiguration", "JSONPatch"
PATCH_TYPES = (APPLY, PATCH)
REINVOCATION = ("Never", "IfNeeded")
OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")
_MEMBERS: dict[str, tuple[str, Type]] = {
    APPLY: ("applyConfiguration", APPLIED),
    PATCH: ("jsonPatch", list_of(JSON_PATCH)),
}


class MutationExpression(Model, protobuf="expression"):
    """A change of the object."""

    expression: str | None = None
    """The CEL expression of the change: an `Object{...}` to apply, or a list of `JSONPatch{op, path, from, value}`."""


class Mutation(Model, protobuf="- patchType applyConfiguration* jsonPatch*"):
    """One change, in one of two forms."""

    patchType: str = ""
    """`ApplyConfiguration` or `JSONPatch`."""
    applyConfiguration: MutationExpression | None = None
    """The object to merge with that of the request, as server-side apply does."""
    jsonPatch: MutationExpression | None = None
    """The operations of a JSON patch."""


class MutatingAdmissionPolicySpec(
    Model,
    protobuf="paramKind* matchConstraints* variables mutations failurePolicy* matchConditions reinvocationPolicy",
):
    """The requests that a policy is about, and the changes that it makes."""

    paramKind: ParamKind | None = None
    """The kind of objects with parameters, which expressions see as `params`. Default: none."""
    matchConstraints: MatchResources | None = None
    """The requests that the policy is about; needed."""
    variables: AtomicVariables | None = None
    """Values that the expressions use, in an order in which each uses those before it."""
    mutations: Annotated[list[Mutation], Atomic()] | None = None
    """The changes, in their order: each sees the object as those before it left it."""
    failurePolicy: str | None = None
    """Whether a request passes if the policy can't be evaluated: `Fail` refuses it, `Ignore` lets it pass. Default:
    Fail."""
    matchConditions: Annotated[list[MatchCondition], MergeKey("name"), ListMapKeys("name")] | None = None
    """Further conditions on the requests that the policy is about; all must be true."""
    reinvocationPolicy: str | None = None
    """`Never`, or `IfNeeded`: once more if the object was changed behind this policy."""


class MutatingAdmissionPolicy(Object, protobuf="metadata spec"):
    """Changes of objects, written as expressions. A binding puts it into force."""

    spec: MutatingAdmissionPolicySpec = Field(default_factory=MutatingAdmissionPolicySpec)
    """The requests that the policy is about, and the changes that it makes."""


class MutatingAdmissionPolicyStrategy(Strategy[MutatingAdmissionPolicy]):
    """Source: Kubernetes documentation, "Mutating Admission Policy"."""

    plain_finalizers = True
    compiles = True

    def default(self, obj: MutatingAdmissionPolicy) -> None:
        obj.spec.failurePolicy = obj.spec.failurePolicy or FAIL
        default_match(obj.spec.matchConstraints)

    def validate(self, obj: MutatingAdmissionPolicy) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        path: Path = ("spec",)
        scope = mutation_scope(spec)
        check_matching_part(errors, path, spec, scope, OPERATIONS)
        check_variables(errors, (*path, "variables"), spec.variables or (), scope)
        if not spec.mutations:
            errors.required((*path, "mutations"), "mutations must contain at least one item")
        for index, mutation in enumerate(spec.mutations or ()):
            _check_mutation(errors, (*path, "mutations", index), mutation, scope)
        errors.check_one_of((*path, "reinvocationPolicy"), spec.reinvocationPolicy, REINVOCATION)
        return errors


def mutation_scope(spec: MutatingAdmissionPolicySpec) -> Scope:
    return Scope(has_params=spec.paramKind is not None, objects=CONSTRUCTIBLE)


def expression_of(mutation: Mutation) -> tuple[str, Type]:
    """Returns the expression of a valid mutation, and the type that it must have."""
    member, expected = _MEMBERS[mutation.patchType]
    return getattr(mutation, member).expression or "", expected


def _check_mutation(errors: Errors, path: Path, mutation: Mutation, scope: Scope) -> None:
    if mutation.patchType not in _MEMBERS:
        errors.check_one_of((*path, "patchType"), mutation.patchType, PATCH_TYPES)
        return
    member, expected = _MEMBERS[mutation.patchType]
    other = next(name for name, _ in _MEMBERS.values() if name != member)
    chosen: MutationExpression | None = getattr(mutation, member)
    if chosen is None:
        errors.required((*path, member), f"must be specified when patchType is {mutation.patchType}")
    else:
        check_expression(errors, (*path, member, "expression"), chosen.expression or "", scope, expected=(expected,))
    if getattr(mutation, other) is not None:
        text = f"must not be specified when patchType is {mutation.patchType}"
        errors.invalid((*path, other), f"{{{other}}}", text)


RESOURCE = Resource(
    kind="MutatingAdmissionPolicy",
    plural="mutatingadmissionpolicies",
    model=MutatingAdmissionPolicy,
    group=GROUP,
    namespaced=False,
    categories=("api-extensions",),
    strategy=MutatingAdmissionPolicyStrategy(),
    columns=(
        NAME,
        Column("Mutations", lambda obj, now: len(obj.spec.mutations or ()), "The changes.", "integer"),
        Column("ParamKind", lambda obj, now: param_kind_cell(obj.spec.paramKind), "The kind of its parameters."),
        AGE,
    ),
)
