"""ValidatingAdmissionPolicyBinding: puts a ValidatingAdmissionPolicy into force."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import ListMapKeys
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.admissionregistration._policy import PolicyBindingSpec, check_binding, default_binding, param_ref_cell
from kubeapi.admissionregistration._rules import GROUP

ACTIONS = ("Audit", "Deny", "Warn")
_NOT_BOTH = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and "
    "headers serves no purpose)"
)


class ValidatingAdmissionPolicyBindingSpec(
    PolicyBindingSpec, protobuf="policyName paramRef* matchResources* validationActions"
):
    """Puts a policy into force, and says what becomes of requests that fail it."""

    validationActions: Annotated[list[str], ListMapKeys()] | None = None
    """What happens when a condition is not met: Deny, Warn (the client), Audit (a note in the audit event).
    Deny and Warn exclude each other."""


class ValidatingAdmissionPolicyBinding(Object, protobuf="metadata spec"):
    """Puts a ValidatingAdmissionPolicy into force."""

    spec: ValidatingAdmissionPolicyBindingSpec = Field(default_factory=ValidatingAdmissionPolicyBindingSpec)
    """The policy, its parameters, and what becomes of requests that fail it."""


class ValidatingAdmissionPolicyBindingStrategy(Strategy[ValidatingAdmissionPolicyBinding]):
    """Source: Kubernetes documentation, "Validating Admission Policy"."""

    plain_finalizers = True

    def default(self, obj: ValidatingAdmissionPolicyBinding) -> None:
        default_binding(obj.spec)

    def validate(self, obj: ValidatingAdmissionPolicyBinding) -> list[FieldError]:
        errors, actions = Errors(), obj.spec.validationActions or []
        path: Path = ("spec",)
        check_binding(errors, path, obj.spec)
        path = ("spec", "validationActions")
        for index, action in enumerate(actions):
            if action not in ACTIONS:
                errors.not_supported((*path, index), action, ACTIONS)
            if action in actions[:index]:
                errors.duplicate((*path, index), action)
        if "Deny" in actions and "Warn" in actions:
            errors.invalid(path, actions, _NOT_BOTH)
        if not actions:
            errors.required(path, "at least one validation action is required")
        return errors


RESOURCE = Resource(
    kind="ValidatingAdmissionPolicyBinding",
    plural="validatingadmissionpolicybindings",
    model=ValidatingAdmissionPolicyBinding,
    group=GROUP,
    namespaced=False,
    categories=("api-extensions",),
    strategy=ValidatingAdmissionPolicyBindingStrategy(),
    columns=(
        NAME,
        Column("PolicyName", lambda obj, now: obj.spec.policyName, "The policy."),
        Column("ParamRef", lambda obj, now: param_ref_cell(obj.spec.paramRef), "The objects with its parameters."),
        AGE,
    ),
)
