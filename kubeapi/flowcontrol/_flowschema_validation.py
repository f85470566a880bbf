"""The rules that a FlowSchema has to obey. Source: API reference, "FlowSchema"."""

from __future__ import annotations

from collections.abc import Collection

from apimachinery.names import dns_label_errors, dns_subdomain_errors
from apimachinery.validation import Errors, Path
from kubeapi.flowcontrol._rules import (
    FlowSchemaSpec,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    ResourcePolicyRule,
    Subject,
)

HIGHEST_PRECEDENCE = 10_000
METHODS = ("ByNamespace", "ByUser")
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
SUBJECT_MEMBERS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}


def validate_spec(name: str, spec: FlowSchemaSpec) -> Errors:
    errors = Errors()
    path: Path = ("spec",)
    precedence, method = spec.matchingPrecedence, spec.distinguisherMethod
    at = (*path, "matchingPrecedence")
    if precedence <= 0:
        errors.invalid(at, precedence, "must be a positive value")
    if precedence > HIGHEST_PRECEDENCE:
        errors.invalid(at, precedence, f"must not be greater than {HIGHEST_PRECEDENCE}")
    if precedence == 1 and name != "exempt":
        errors.invalid(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    if method is not None and method.type not in METHODS:
        errors.not_supported((*path, "distinguisherMethod", "type"), {"Type": method.type}, METHODS)
    level, at = spec.priorityLevelConfiguration.name, (*path, "priorityLevelConfiguration", "name")
    if not level:
        errors.required(at, "must reference a priority level")
    else:
        errors.check_messages(at, level, dns_subdomain_errors(level))
    for index, rule in enumerate(spec.rules or ()):
        _check_rule(errors, (*path, "rules", index), rule)
    return errors


def _check_rule(errors: Errors, path: Path, rule: PolicyRulesWithSubjects) -> None:
    if not rule.subjects:
        errors.required((*path, "subjects"), "subjects must contain at least one value")
    for index, subject in enumerate(rule.subjects):
        _check_subject(errors, (*path, "subjects", index), subject)
    if not rule.resourceRules and not rule.nonResourceRules:
        errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for index, resources in enumerate(rule.resourceRules or ()):
        _check_resources(errors, (*path, "resourceRules", index), resources)
    for index, paths in enumerate(rule.nonResourceRules or ()):
        _check_paths(errors, (*path, "nonResourceRules", index), paths)


def _check_subject(errors: Errors, path: Path, subject: Subject) -> None:
    member = SUBJECT_MEMBERS.get(subject.kind)
    if member is None:
        errors.not_supported((*path, "kind"), subject.kind, SUBJECT_MEMBERS)
        return
    selected = getattr(subject, member)
    if selected is None:
        errors.required((*path, member), f"{member} is required when subject kind is '{subject.kind}'")
    else:
        if not selected.name:
            errors.required((*path, member, "name"))
        if subject.kind == "ServiceAccount":
            _check_account(errors, (*path, member), selected.namespace, selected.name)
    for kind, other in sorted(SUBJECT_MEMBERS.items(), reverse=True):
        if kind != subject.kind and getattr(subject, other) is not None:
            errors.forbidden((*path, other), f"{other} is forbidden when subject kind is not '{kind}'")


def _check_account(errors: Errors, path: Path, namespace: str, name: str) -> None:
    if name and name != "*":
        errors.check_messages((*path, "name"), name, dns_subdomain_errors(name))
    if namespace:
        errors.check_messages((*path, "namespace"), namespace, dns_label_errors(namespace))
    else:
        errors.required((*path, "namespace"), "must specify namespace for service account")


def _check_resources(errors: Errors, path: Path, rule: ResourcePolicyRule) -> None:
    _check_verbs(errors, path, rule.verbs)
    for member, singular, plural in (
        ("apiGroups", "api group", "api groups"),
        ("resources", "resource", "resources"),
    ):
        values = getattr(rule, member)
        if not values:
            errors.required((*path, member), f"resource rules must supply at least one {singular}")
        _check_star_alone(errors, (*path, member), values, plural)
    namespaces = rule.namespaces or []
    if not namespaces and not rule.clusterScope:
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.required((*path, "namespaces"), text)
    if not _check_star_alone(errors, (*path, "namespaces"), namespaces, "namespaces"):
        for index, namespace in enumerate(namespaces):
            errors.check_messages((*path, "namespaces", index), namespace, dns_label_errors(namespace))


def _check_paths(errors: Errors, path: Path, rule: NonResourcePolicyRule) -> None:
    _check_verbs(errors, path, rule.verbs)
    urls, at = rule.nonResourceURLs, (*path, "nonResourceURLs")
    if not urls:
        errors.required(at, "nonResourceURLs must contain at least one value")
    if not _check_star_alone(errors, at, urls, "non-resource URLs"):
        for index, url in enumerate(urls):
            if why := _why_no_path(url):
                errors.invalid((*at, index), url, why)


def _check_verbs(errors: Errors, path: Path, verbs: list[str]) -> None:
    at = (*path, "verbs")
    if not verbs:
        errors.required(at, "verbs must contain at least one value")
    elif not _check_star_alone(errors, at, verbs, "verbs") and not set(verbs) <= set(VERBS):
        errors.not_supported(at, verbs, VERBS)


def _check_star_alone(errors: Errors, path: Path, values: Collection[str], what: str) -> bool:
    """True if there is a `*` among the values."""
    if "*" not in values:
        return False
    if len(values) > 1:
        errors.invalid(path, values, f"if '*' is present, must not specify other {what}")
    return True


def _why_no_path(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    return "wildcard can only do suffix matching" if "*" in url[:-1] else ""
