"""Checks that who writes an admission policy or a binding may read the objects with its parameters.

A policy shows its author what they hold: its messages may quote them.
Source: Kubernetes documentation, "Validating Admission Policy", "Parameter resources".
"""

from __future__ import annotations

from typing import Any

import orjson

from apimachinery.errors import forbidden, invalid_object
from apiserver.admission._plugin import Attributes, Lookup
from apiserver.auth.authorization.authorizer import decide
from apiserver.registry.hooks import Hooks
from apiserver.request.info import access
from apiserver.request.user import MASTERS
from kubeapi.admissionregistration._policy import ParamKind, PolicyBindingSpec
from kubeapi.admissionregistration._rules import GROUP

POLICIES = [(GROUP, plural) for plural in ("validatingadmissionpolicies", "mutatingadmissionpolicies")]
BINDINGS = {
    (GROUP, f"{prefix}admissionpolicybindings"): f"{prefix}admissionpolicies" for prefix in ("validating", "mutating")
}


class ParamHooks(Hooks):
    """The hooks of both kinds of policies and of their bindings."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def check_rights(self, attributes: Attributes) -> None:
        obj, old = attributes.obj, attributes.old
        if MASTERS in attributes.user.groups:
            return
        spec = obj.spec
        if isinstance(spec, PolicyBindingSpec):
            if spec.paramRef is not None and (old is None or (spec.policyName, spec.paramRef) != _params_of(old)):
                await self._check_binding(attributes, spec)
        elif spec.paramKind is not None and (old is None or spec.paramKind != old.spec.paramKind):
            await self._check(attributes, spec.paramKind, "paramKind")

    async def _check_binding(self, attributes: Attributes, spec: PolicyBindingSpec) -> None:
        """A binding to a policy that does not exist takes no right: it does nothing."""
        plural = BINDINGS[(GROUP, attributes.resource.plural)]
        policies = self._lookup.resource(plural, GROUP)
        entry = await self._lookup.storage.get(policies, "", spec.policyName or "", min_revision=None)
        kind = orjson.loads(entry.value)["spec"].get("paramKind") if entry is not None else None
        if kind is not None and spec.paramRef is not None:
            ref = spec.paramRef
            await self._check(attributes, ParamKind(**kind), "paramRef", ref.namespace or "*", ref.name or "*")

    async def _check(
        self, attributes: Attributes, kind: ParamKind, field: str, namespace: str = "*", name: str = "*"
    ) -> None:
        """Raises: Invalid, if the user may not read the parameters."""
        resource = self._lookup.of_kind(kind.apiVersion or "", kind.kind or "")
        group, _, version = (kind.apiVersion or "").rpartition("/")
        plural = resource.plural if resource is not None else "*"
        asked = access("get", plural, name, group=group, version=version, namespace=namespace)
        if (await decide(self._lookup.authorizer, attributes.user, asked)).allowed:
            return
        what = (
            f"all objects of the referenced paramKind (kind={kind.kind}, apiVersion={kind.apiVersion})"
            if field == "paramKind"
            else "the referenced params"
        )
        error = forbidden(f"spec.{field}", f'user {attributes.user.name} must have "get" permission on {what}')
        raise invalid_object(attributes.resource.kind, GROUP, attributes.name, [error])


def _params_of(binding: Any) -> tuple[Any, Any]:
    return binding.spec.policyName, binding.spec.paramRef
