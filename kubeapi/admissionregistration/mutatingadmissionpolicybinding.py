"""MutatingAdmissionPolicyBinding: puts a MutatingAdmissionPolicy into force."""

from __future__ import annotations

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.admissionregistration._policy import PolicyBindingSpec, check_binding, default_binding, param_ref_cell
from kubeapi.admissionregistration._rules import GROUP


class MutatingAdmissionPolicyBinding(Object, protobuf="metadata spec"):
    """Puts a MutatingAdmissionPolicy into force."""

    spec: PolicyBindingSpec = Field(default_factory=PolicyBindingSpec)
    """The policy, and its parameters."""


class MutatingAdmissionPolicyBindingStrategy(Strategy[MutatingAdmissionPolicyBinding]):
    """Source: Kubernetes documentation, "Mutating Admission Policy"."""

    plain_finalizers = True

    def default(self, obj: MutatingAdmissionPolicyBinding) -> None:
        default_binding(obj.spec)

    def validate(self, obj: MutatingAdmissionPolicyBinding) -> list[FieldError]:
        errors = Errors()
        check_binding(errors, ("spec",), obj.spec)
        return errors


RESOURCE = Resource(
    kind="MutatingAdmissionPolicyBinding",
    plural="mutatingadmissionpolicybindings",
    model=MutatingAdmissionPolicyBinding,
    group=GROUP,
    namespaced=False,
    categories=("api-extensions",),
    strategy=MutatingAdmissionPolicyBindingStrategy(),
    columns=(
        NAME,
        Column("PolicyName", lambda obj, now: obj.spec.policyName, "The policy."),
        Column("ParamRef", lambda obj, now: param_ref_cell(obj.spec.paramRef), "The objects with its parameters."),
        AGE,
    ),
)
