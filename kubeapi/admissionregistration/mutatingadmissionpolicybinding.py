"""MutatingAdmissionPolicyBinding: puts a MutatingAdmissionPolicy into force."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.resource import Resource
from kubeapi.admissionregistration._policy import BINDING_COLUMNS, PolicyBindingSpec, PolicyBindingStrategy
from kubeapi.admissionregistration._rules import GROUP


class MutatingAdmissionPolicyBinding(Object, protobuf="metadata spec"):
    """Puts a MutatingAdmissionPolicy into force."""

    spec: PolicyBindingSpec = Field(default_factory=PolicyBindingSpec)
    """The policy, and its parameters."""


RESOURCE = Resource(
    kind="MutatingAdmissionPolicyBinding",
    plural="mutatingadmissionpolicybindings",
    model=MutatingAdmissionPolicyBinding,
    group=GROUP,
    namespaced=False,
    categories=("api-extensions",),
    strategy=PolicyBindingStrategy(),
    columns=BINDING_COLUMNS,
)
