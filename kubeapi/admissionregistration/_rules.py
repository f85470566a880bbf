"""What webhooks and admission policies share: the requests that they are about."""

from __future__ import annotations

from collections.abc import Sequence

from apimachinery.meta import LabelSelector
from apimachinery.model import Model
from apimachinery.validation import Errors, Path

GROUP = "admissionregistration.k8s.io"
FAIL, IGNORE = "Fail", "Ignore"
EXACT, EQUIVALENT = "Exact", "Equivalent"
FAILURE_POLICIES = (FAIL, IGNORE)
MATCH_POLICIES = (EQUIVALENT, EXACT)
ALL = "*"
CLUSTER, NAMESPACED = "Cluster", "Namespaced"
SCOPES = (ALL, CLUSTER, NAMESPACED)
OPERATIONS = (ALL, "CONNECT", "CREATE", "DELETE", "UPDATE")


class RuleWithOperations(Model, protobuf="operations (apiGroups apiVersions resources scope*)"):
    """Requests by their operation and resource. All lists must match."""

    operations: list[str] | None = None
    """CREATE, UPDATE, DELETE, CONNECT, or `*` alone for all."""
    apiGroups: list[str] | None = None
    """The groups of the resource, or `*` alone for all; empty text is the core group."""
    apiVersions: list[str] | None = None
    """The versions of the resource, or `*` alone for all."""
    resources: list[str] | None = None
    """Resources: `pods`, `pods/log` for a subresource, `*` for all resources, `*/scale` for a subresource of all,
    `pods/*` for all subresources of one, `*/*` for everything."""
    scope: str | None = None
    """Cluster, Namespaced, or `*` for both. Default: `*`."""


class MatchCondition(Model, protobuf="name expression"):
    """A condition in CEL that a request must meet."""

    name: str = ""
    """The name of the condition, unique in its list."""
    expression: str = ""
    """An expression that gives true or false. It sees object, oldObject, request and authorizer."""


def default_rules(rules: Sequence[RuleWithOperations] | None) -> None:
    for rule in rules or ():
        if rule.scope is None:
            rule.scope = ALL


def check_rule(errors: Errors, path: Path, rule: RuleWithOperations) -> None:
    for field, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = getattr(rule, field) or []
        if not values:
            errors.required((*path, field))
        elif ALL in values and len(values) > 1:
            errors.invalid((*path, field), values, f"if '*' is present, must not specify other {what}")
    for index, version in enumerate(rule.apiVersions or ()):
        if not version:
            errors.required((*path, "apiVersions", index))
    _check_operations(errors, (*path, "operations"), rule.operations or [])
    _check_resources(errors, (*path, "resources"), rule.resources or [])
    if rule.scope is not None and rule.scope not in SCOPES:
        errors.not_supported((*path, "scope"), rule.scope, SCOPES)


def _check_operations(errors: Errors, path: Path, operations: list[str]) -> None:
    if not operations:
        errors.required(path)
    elif ALL in operations and len(operations) > 1:
        errors.invalid(path, operations, "if '*' is present, must not specify other operations")
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            errors.not_supported((*path, index), operation, OPERATIONS)


def _check_resources(errors: Errors, path: Path, resources: list[str]) -> None:
    """Refuses resources that another one of the list stands for already."""
    if not resources:
        errors.required(path)
    for index, resource in enumerate(resources):
        if not resource:
            errors.required((*path, index))
    whole = {resource.partition("/")[0] for resource in resources if resource.endswith("/*")}
    of_all = {resource.removeprefix("*/") for resource in resources if resource.startswith("*/")}
    for index, resource in enumerate(resources):
        name, slash, subresource = resource.partition("/")
        if not slash or resource == "*/*":
            continue
        if subresource != ALL and name in whole:
            text = f"if '{name}/*' is present, must not specify {resource}"
            errors.invalid((*path, index), resource, text)
        if name != ALL and subresource in of_all:
            text = f"if '*/{subresource}' is present, must not specify {resource}"
            errors.invalid((*path, index), resource, text)
    if "*/*" in resources and len(resources) > 1:
        errors.invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if ALL in resources and sum("/" not in resource for resource in resources) > 1:
        errors.invalid(path, resources, "if '*' is present, must not specify other resources without subresources")


def check_selectors(errors: Errors, path: Path, namespace: LabelSelector | None, objects: LabelSelector | None) -> None:
    errors.check_selector((*path, "namespaceSelector"), namespace)
    errors.check_selector((*path, "objectSelector"), objects)
