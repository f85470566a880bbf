"""Checks of a ResourceQuota.

Source: Kubernetes documentation, "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Collection

from apimachinery.quantity import ResourceList
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.validation.resources import QUOTA_RESOURCES, check_quantity, check_resource_name, is_huge
from kubeapi.core.resourcequota.model import ResourceQuotaSpec, ScopedResourceSelectorRequirement

_COMPUTE = frozenset(
    {"pods", *(f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory"))}
)
_STORAGE = frozenset({"persistentvolumeclaims", "requests.storage"})
_BEST_EFFORT = "BestEffort"
_APPLIES_TO = {
    "Terminating": _COMPUTE,
    "NotTerminating": _COMPUTE,
    _BEST_EFFORT: frozenset({"pods"}),
    "NotBestEffort": _COMPUTE,
    "PriorityClass": _COMPUTE,
    "CrossNamespacePodAffinity": _COMPUTE,
    "VolumeAttributesClass": _STORAGE,
}
"""Scope -> the resources whose use it can divide."""
_OF_A_CLASS = frozenset({"PriorityClass", "VolumeAttributesClass"})
_EXISTS_ALONE = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def check_spec(errors: Errors, spec: ResourceQuotaSpec) -> None:
    check_amounts(errors, ("spec", "hard"), spec.hard)
    names = [name for name in sorted(spec.hard or ()) if _is_standard(name)]
    at: Path = ("spec", "scopes")
    for scope in spec.scopes or ():
        _check_scope(errors, at, scope, spec.scopes)
        _check_applies(errors, at, scope, names, spec.scopes)
    _check_conflicts(errors, at, spec.scopes or (), spec.scopes)
    if spec.scopeSelector is not None:
        at = ("spec", "scopeSelector", "matchExpressions")
        selected = spec.scopeSelector.matchExpressions or []
        for condition in selected:
            _check_scope(errors, (*at, "scopeName"), condition.scopeName, condition.scopeName)
            _check_applies(errors, at, condition.scopeName, names, spec.scopeSelector.model_dump(exclude_none=True))
            _check_operator(errors, at, condition)
        _check_conflicts(errors, at, [condition.scopeName for condition in selected], spec.scopes)


def check_amounts(errors: Errors, path: Path, amounts: ResourceList | None) -> None:
    for name, value in sorted((amounts or {}).items()):
        at = (*path, f"[{name}]")
        check_resource_name(errors, at, name, of_container=False)
        if "/" not in name and not _is_standard(name):
            errors.invalid(at, name, "must be a standard resource for quota")
        check_quantity(errors, at, name, value)


def _is_standard(name: str) -> bool:
    return name in QUOTA_RESOURCES or is_huge(name.removeprefix("requests."))


def _check_scope(errors: Errors, at: Path, scope: str, shown: object) -> None:
    if scope not in _APPLIES_TO:
        errors.invalid(at, shown, "unsupported scope")


def _check_applies(errors: Errors, at: Path, scope: str, names: Collection[str], shown: object) -> None:
    for name in names:
        if scope in _APPLIES_TO and name not in _APPLIES_TO[scope]:
            errors.invalid(at, shown, "unsupported scope applied to resource")


def _check_conflicts(errors: Errors, at: Path, scopes: Collection[str], shown: object) -> None:
    for scope in (_BEST_EFFORT, "Terminating"):
        if scope in scopes and f"Not{scope}" in scopes:
            errors.invalid(at, shown, "conflicting scopes")


def _check_operator(errors: Errors, at: Path, condition: ScopedResourceSelectorRequirement) -> None:
    operator, values = condition.operator, condition.values
    if condition.scopeName in _APPLIES_TO and condition.scopeName not in _OF_A_CLASS and operator != "Exists":
        errors.invalid((*at, "operator"), operator, _EXISTS_ALONE)
    if operator in ("In", "NotIn"):
        if not values:
            text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            errors.required((*at, "values"), text)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector"
            errors.invalid((*at, "values"), values, text)
    else:
        errors.invalid((*at, "operator"), operator, "not a valid selector operator")
