"""ValidatingAdmissionPolicyBinding: puts a ValidatingAdmissionPolicy into force."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import ListMapKeys
from apimachinery.resource import Resource
from apimachinery.validation import Errors, Path
from kubeapi.admissionregistration._policy import BINDING_COLUMNS, PolicyBindingSpec, PolicyBindingStrategy
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


class ValidatingAdmissionPolicyBindingStrategy(PolicyBindingStrategy):
    """Source: Kubernetes documentation, "Validating Admission Policy"."""

    def validate(self, obj: ValidatingAdmissionPolicyBinding) -> list[FieldError]:
        errors, actions = Errors(super().validate(obj)), obj.spec.validationActions or []
        path: Path = ("spec", "validationActions")
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
    columns=BINDING_COLUMNS,
)
