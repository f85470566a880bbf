"""The expressions of policies and match conditions: which variables they see, and how they are compiled.

Source: Kubernetes documentation, "Validating Admission Policy", "Variables"; API reference, AdmissionReview.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apimachinery.validation import Errors, Path
from kubecel import (
    BOOL,
    DYN,
    INT,
    STRING,
    CompileError,
    Field,
    ObjectType,
    Program,
    Type,
    compile_expression,
    list_of,
    map_of,
)
from kubecel.libraries.authorizers import Authorizer, ResourceCheck
from kubecel.types import NULL

Members = dict[str, Type]


def _object(name: str, fields: Members) -> ObjectType:
    declared = {field: Field(of, field) for field, of in fields.items()}
    return ObjectType(name, fields=lambda: declared)


_GVK = _object("kubernetes.GroupVersionKind", dict.fromkeys(("group", "version", "kind"), STRING))
_GVR = _object("kubernetes.GroupVersionResource", dict.fromkeys(("group", "version", "resource"), STRING))
_EXTRA = map_of(STRING, list_of(STRING))
_USER = _object("kubernetes.UserInfo", {"username": STRING, "uid": STRING, "groups": list_of(STRING), "extra": _EXTRA})
REQUEST = _object(
    "kubernetes.AdmissionRequest",
    {
        "kind": _GVK,
        "resource": _GVR,
        "subResource": STRING,
        "requestKind": _GVK,
        "requestResource": _GVR,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    },
)
_NAMESPACE_META = _object(
    "kubernetes.NamespaceMetadata",
    {
        **dict.fromkeys(
            ("name", "generateName", "namespace", "uid", "UID", "creationTimestamp", "deletionTimestamp"), STRING
        ),
        "resourceVersion": STRING,
        "labels": map_of(STRING, STRING),
        "annotations": map_of(STRING, STRING),
        "deletionGracePeriodSeconds": INT,
        "generation": INT,
        "finalizers": list_of(STRING),
    },
)
NAMESPACE = _object(
    "kubernetes.Namespace",
    {
        "metadata": _NAMESPACE_META,
        "spec": _object("kubernetes.NamespaceSpec", {"finalizers": list_of(STRING)}),
        "status": _object("kubernetes.NamespaceStatus", {"phase": STRING}),
    },
)
CONDITION_VARIABLES: Members = {
    "object": DYN,
    "oldObject": DYN,
    "request": REQUEST,
    "authorizer": Authorizer.type,
    "authorizer.requestResource": ResourceCheck.type,
}
"""What match conditions of webhooks see."""


class _AnyField(dict[str, Field]):
    """The fields of a type that has every field: of objects to apply, whose schema is checked when they are applied."""

    def get(self, name: str, default: Any = None) -> Field:
        return Field(DYN, name)


JSON_PATCH = ObjectType(
    "JSONPatch",
    fields=lambda: {
        "op": Field(STRING, "op"),
        "path": Field(STRING, "path"),
        "from": Field(STRING, "from"),
        "value": Field(DYN, "value"),
    },
)
APPLIED = ObjectType("Object", fields=_AnyField)


class _Constructible(dict[str, ObjectType]):
    """The types that a mutation may construct: `JSONPatch`, `Object`, and `Object.a.b` for what is below it."""

    def get(self, name: str, default: Any = None) -> Any:
        if name.startswith("Object."):
            return ObjectType(name, fields=_AnyField)
        return super().get(name, default)


CONSTRUCTIBLE: Mapping[str, ObjectType] = _Constructible({"JSONPatch": JSON_PATCH, "Object": APPLIED})


class Scope:
    """The variables that the expressions of one policy see; those of the policy itself are added one by one."""

    def __init__(self, *, has_params: bool, objects: Mapping[str, ObjectType] | None = None) -> None:
        self._types: Members = {**CONDITION_VARIABLES, "namespaceObject": NAMESPACE}
        if has_params:
            self._types["params"] = DYN
        self._declared: dict[str, Field] | None = None
        self._objects = objects or {}

    def typed(self, types: Members) -> Scope:
        """Returns a scope without the policy's own variables, where some of Kubernetes' have a type."""
        scope = Scope(has_params="params" in self._types, objects=self._objects)
        scope._types.update(types)
        return scope

    def without(self, variable: str) -> Scope:
        del self._types[variable]
        return self

    def compile(
        self, source: str, *, expected: tuple[Type, ...] = (), variables: bool = True, authorizer: bool = True
    ) -> Program:
        """Raises: CompileError."""
        types = self._types
        if not authorizer:
            types = {name: of for name, of in types.items() if not name.startswith("authorizer")}
        if variables and self._declared is not None:
            fields = dict(self._declared)
            types = {**types, "variables": ObjectType("kubernetes.variables", fields=lambda: fields)}
        return compile_expression(source, types, expected=expected, objects=self._objects)

    def declare_variables(self) -> None:
        """Has the expressions know `variables`, which is empty at first."""
        self._declared = {}

    def declare(self, name: str, of: Type) -> None:
        assert self._declared is not None
        self._declared[name] = Field(of, name)


def condition_scope() -> Scope:
    """The scope of the match conditions of webhooks."""
    return Scope(has_params=False).without("namespaceObject")


BOOLEAN = (BOOL,)
TEXT = (STRING,)
TEXT_OR_NULL = (STRING, NULL)


def check_expression(errors: Errors, path: Path, source: str, scope: Scope, **how: Any) -> Program | None:
    """Compiles a required expression, or adds the error that upstream reports; `how` goes to `Scope.compile`."""
    if not source.strip():
        errors.required(path, "expression is not specified")
        return None
    try:
        return scope.compile(source, **how)
    except CompileError as error:
        errors.invalid(path, source, described(error))
        return None


def described(error: CompileError) -> str:
    text = str(error)
    return f"compilation failed: {text}" if text.startswith("ERROR") else text
