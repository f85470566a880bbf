"""Status of ValidatingAdmissionPolicies: their expressions are checked against the schemas of the kinds they are about.

A policy works whatever is found: its warnings tell the author what will fail when it is evaluated.
Source: Kubernetes documentation, "Validating Admission Policy", "Type checking".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apimachinery.errors import StatusError
from kubeapi.admissionregistration._expressions import BOOLEAN, TEXT, Scope
from kubeapi.admissionregistration._matching import NamedRuleWithOperations
from kubeapi.admissionregistration._policy import ParamKind
from kubeapi.admissionregistration.validatingadmissionpolicy import (
    ExpressionWarning,
    TypeChecking,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicySpec,
)
from kubecel import DYN, CompileError, Type
from kubecel.schemas import Schema, declared_type
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own
from kubeclient.discovery import APIResource, resources_of

MOST_KINDS = 10  # of one policy, as upstream: a policy about everything is not checked
GVK = "x-kubernetes-group-version-kind"


@dataclass(frozen=True)
class TypedKind:
    """A kind with the type of its objects."""

    api_version: str
    kind: str
    type: Type

    def __str__(self) -> str:
        return f"{self.api_version}, Kind={self.kind}"


def named_resources(rules: Iterable[NamedRuleWithOperations]) -> list[tuple[str, str, str]]:
    """Returns (group, version, resource) of the rules that name them; what a `*` stands for is not checked."""
    named = [
        (group, version, resource)
        for rule in rules
        for group in rule.apiGroups or ()
        for version in rule.apiVersions or ()
        for resource in rule.resources or ()
        if "*" not in (group, version) and "*" not in resource and "/" not in resource
    ]
    return list(dict.fromkeys(named))


def check_types(
    spec: ValidatingAdmissionPolicySpec, kinds: Sequence[TypedKind], params: Type | None
) -> list[ExpressionWarning]:
    """Returns the warnings by expression, with a line for each kind that it does not fit."""
    texts: dict[str, list[str]] = {}
    for kind in kinds:
        types = {"object": kind.type, "oldObject": kind.type}
        if params is not None:
            types["params"] = params
        scope = Scope(has_params=spec.paramKind is not None).typed(types)
        _declare_variables(spec, scope)
        for index, validation in enumerate(spec.validations or ()):
            path = f"spec.validations[{index}]"
            checks = [(f"{path}.expression", validation.expression, BOOLEAN)]
            if validation.messageExpression:
                checks.append((f"{path}.messageExpression", validation.messageExpression, TEXT))
            for field, source, expected in checks:
                try:
                    scope.compile(source, expected=expected)
                except CompileError as error:
                    texts.setdefault(field, []).append(f"{kind}: {error}")
    return [ExpressionWarning(fieldRef=field, warning="\n".join(lines)) for field, lines in texts.items()]


def _declare_variables(spec: ValidatingAdmissionPolicySpec, scope: Scope) -> None:
    if spec.variables:
        scope.declare_variables()
    for variable in spec.variables or ():
        try:
            of = scope.compile(variable.expression).type
        except CompileError:
            of = DYN  # an error of the variable is not one of each expression that uses it
        scope.declare(variable.name, of)


def schema_of(document: Mapping[str, Any], group: str, version: str, kind: str) -> Schema | None:
    """Finds the schema of a kind in the OpenAPI document of its version."""
    wanted = {"group": group, "version": version, "kind": kind}
    schemas = document.get("components", {}).get("schemas", {})
    return next((schema for schema in schemas.values() if wanted in schema.get(GVK, ())), None)


class PolicyStatusReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._policies = context.informers.of(ValidatingAdmissionPolicy)

    async def reconcile(self, key: str) -> Result:
        policy = self._policies.get(key)
        if policy is None or policy.metadata.deletionTimestamp is not None:
            return DONE
        generation = policy.metadata.generation or 0
        if policy.status.observedGeneration == generation:
            return DONE
        warnings = await self._warnings(policy.spec)
        changed = policy.clone()
        changed.status.observedGeneration = generation
        changed.status.typeChecking = TypeChecking(expressionWarnings=warnings or None)
        await self._rest.update(changed, subresource="status")
        return DONE

    async def _warnings(self, spec: ValidatingAdmissionPolicySpec) -> list[ExpressionWarning]:
        rules = spec.matchConstraints.resourceRules or () if spec.matchConstraints else ()
        kinds = [kind for named in named_resources(rules)[:MOST_KINDS] if (kind := await self._kind_at(*named))]
        if not kinds:
            return []
        params = await self._params(spec.paramKind)
        return await asyncio.to_thread(check_types, spec, kinds, params.type if params is not None else None)

    async def _kind_at(self, group: str, version: str, plural: str) -> TypedKind | None:
        resources: Sequence[APIResource] = await resources_of(self._rest, group, version) or ()
        kind = next((resource.kind for resource in resources if resource.name == plural), None)
        return await self._typed(group, version, kind) if kind is not None else None

    async def _params(self, kind: ParamKind | None) -> TypedKind | None:
        if kind is None:
            return None
        group, _, version = (kind.apiVersion or "").rpartition("/")
        return await self._typed(group, version, kind.kind or "")

    async def _typed(self, group: str, version: str, kind: str) -> TypedKind | None:
        """Returns None for a kind that the server does not publish a schema of."""
        api_version = f"{group}/{version}" if group else version
        path = f"apis/{api_version}" if group else f"api/{api_version}"
        try:
            document = orjson.loads(await self._rest.request("GET", f"/openapi/v3/{path}"))
        except StatusError as error:
            if error.code == 404:
                return None
            raise
        schema = schema_of(document, group, version, kind)
        if schema is None:
            return None
        schemas = document["components"]["schemas"]
        found = declared_type(schema, schemas.__getitem__, resource=True, lenient=True)
        return TypedKind(api_version, kind, found) if found is not None else None


CONTROLLER = ControllerSpec(
    "validatingadmissionpolicy-status-controller", PolicyStatusReconciler, watches=[own(ValidatingAdmissionPolicy)]
)
