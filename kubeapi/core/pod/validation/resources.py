"""Checks of resource lists: `requests`, `limits`, `capacity`, `overhead`.

Source: Kubernetes documentation, "Resource Management for Pods and Containers".
"""

from __future__ import annotations

from collections.abc import Mapping

from apimachinery.names import qualified_name_errors
from apimachinery.quantity import QuantityError, parse_quantity
from apimachinery.validation import NOT_NEGATIVE, Errors, Path
from kubeapi.core.pod.requests import HUGE_PAGES_PREFIX, containers_request
from kubeapi.core.pod.spec import ContainerResizePolicy, PodSpec, ResourceRequirements

_CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTED = frozenset(
    {
        "pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "replicationcontrollers",
        "resourcequotas", "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
QUOTA_RESOURCES = _COUNTED | {
    "requests.storage",
    *(f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in _CONTAINER_RESOURCES),
}
"""The names without a slash that a quota can limit, besides huge pages."""
_STANDARD = _COUNTED | {
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in (*_CONTAINER_RESOURCES, "storage")
}


def check_resources(errors: Errors, path: Path, resources: ResourceRequirements, claims: frozenset[str]) -> None:
    """Checks the resources of a container; `claims` are the names of the pod's `resourceClaims`."""
    limits, requests = resources.limits, resources.requests
    if limits:
        _check_list(errors, (*path, "limits"), limits)
    if requests:
        if requests is not limits:
            _check_list(errors, (*path, "requests"), requests)
        _check_against_limits(errors, path, requests, limits or {})
    if limits or requests:
        _check_huge_pages(errors, path, {**(limits or {}), **(requests or {})})
    if resources.claims:
        _check_claims(errors, path, resources, claims)


def check_quantity(errors: Errors, path: Path, name: str, value: str) -> None:
    """Refuses negative amounts, and fractions of resources that are counted."""
    if value.startswith("-"):  # quantities are canonical: zero is not signed
        errors.invalid(path, value, NOT_NEGATIVE)
    elif name not in _CONTAINER_RESOURCES:
        if (name in _COUNTED or is_extended(name)) and parse_quantity(value).denominator != 1:
            errors.invalid(path, value, "must be an integer")
        elif is_huge(name) and not _is_multiple(name, value):
            errors.invalid(path, value, f"{value} is not positive integer multiple of {name}")


def check_resource_list(errors: Errors, path: Path, quantities: Mapping[str, str] | None) -> None:
    """Checks a list of arbitrary resources, such as the capacity of a node."""
    for name, value in (quantities or {}).items():
        check_quantity(errors, (*path, name), name, value)


def check_pod_resources(errors: Errors, path: Path, spec: PodSpec) -> None:
    """Checks the resources of the pod as a whole, which must suffice for its containers together."""
    resources = spec.resources
    if resources is None:
        return
    if resources.claims:
        errors.forbidden((*path, "claims"), "claims cannot be set for Resources at pod-level")
    for field, quantities in (("limits", resources.limits), ("requests", resources.requests)):
        for name, value in (quantities or {}).items():
            at = (*path, field, f"[{name}]")
            if name not in ("cpu", "memory") and not is_huge(name):
                errors.not_supported(at, name, ("cpu", HUGE_PAGES_PREFIX, "memory"))
            check_quantity(errors, at, name, value)
    limits, requests = resources.limits or {}, resources.requests or {}
    _check_against_limits(errors, path, requests, limits)
    for name in {name: None for item in spec.containers for name in item.resources.requests or ()}:
        total = containers_request(spec, name)
        if total is not None and parse_quantity(total) > parse_quantity(requests.get(name, "0")):
            text = f"must be greater than or equal to aggregate container requests of {total}"
            errors.invalid((*path, "requests", f"[{name}]"), requests.get(name, "0"), text)
    for index, container in enumerate(spec.containers):
        for name, value in (container.resources.limits or {}).items():
            if name in limits and parse_quantity(value) > parse_quantity(limits[name]):
                at = (*path[:-1], "containers", index, "resources", "limits", f"[{name}]")
                errors.invalid(at, value, f"must be less than or equal to pod limits of {limits[name]}")


def check_overhead(errors: Errors, path: Path, overhead: Mapping[str, str] | None) -> None:
    if overhead:
        _check_list(errors, path, overhead)


def check_resize_policy(
    errors: Errors, path: Path, policies: list[ContainerResizePolicy] | None, restart_policy: str
) -> None:
    """Errors name the list alone, as upstream."""
    names: set[str] = set()
    for policy in policies or ():
        if policy.resourceName in names:
            errors.duplicate(path, policy.resourceName)
        names.add(policy.resourceName)
        errors.check_one_of(path, policy.resourceName, ("cpu", "memory"))
        errors.check_one_of(path, policy.restartPolicy, ("NotRequired", "RestartContainer"))
        if restart_policy == "Never" and policy.restartPolicy == "RestartContainer":
            errors.invalid(path, policy.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'")


def _check_list(errors: Errors, path: Path, quantities: Mapping[str, str]) -> None:
    for name, value in quantities.items():
        at = (*path, f"[{name}]")
        if name not in _CONTAINER_RESOURCES:
            _check_container_resource_name(errors, at, name)
        check_quantity(errors, at, name, value)


def _check_container_resource_name(errors: Errors, at: Path, name: str) -> None:
    errors.check_messages(at, name, qualified_name_errors(name))
    if "/" not in name:
        if not is_huge(name):
            if name not in _STANDARD:
                errors.invalid(at, name, "must be a standard resource type or fully qualified")
            errors.invalid(at, name, "must be a standard resource for containers")
    elif not _is_native(name) and not is_extended(name):
        errors.invalid(at, name, "doesn't follow extended resource name standard")


def check_resource_name(errors: Errors, at: Path, name: str, *, of_container: bool) -> None:
    """Checks the name of a resource in a LimitRange."""
    if of_container and name not in _CONTAINER_RESOURCES:
        _check_container_resource_name(errors, at, name)
    elif not of_container:
        errors.check_messages(at, name, qualified_name_errors(name))
        if "/" not in name and name not in _STANDARD and not is_huge(name.removeprefix("requests.")):
            errors.invalid(at, name, "must be a standard resource type or fully qualified")


def may_overcommit(name: str) -> bool:
    """Tells whether the limit of a resource may exceed the request, which requires that it can be shared."""
    return _is_native(name) and not is_huge(name)


def _check_against_limits(errors: Errors, path: Path, requests: Mapping[str, str], limits: Mapping[str, str]) -> None:
    for name, request in requests.items():
        limit = limits.get(name)
        strict = name not in _CONTAINER_RESOURCES and (not _is_native(name) or is_huge(name))
        if limit is None:
            if strict:
                errors.required((*path, "limits"), "Limit must be set for non overcommitable resources")
        elif request != limit:
            requested, allowed = parse_quantity(request), parse_quantity(limit)
            if strict and requested != allowed:
                errors.invalid((*path, "requests"), request, f"must be equal to {name} limit of {limit}")
            elif requested > allowed:
                errors.invalid((*path, "requests"), request, f"must be less than or equal to {name} limit of {limit}")


def _check_huge_pages(errors: Errors, path: Path, quantities: Mapping[str, str]) -> None:
    if "cpu" not in quantities and "memory" not in quantities and any(map(is_huge, quantities)):
        errors.forbidden(path, "HugePages require cpu or memory")


def _check_claims(errors: Errors, path: Path, resources: ResourceRequirements, claims: frozenset[str]) -> None:
    seen: set[str] = set()
    for index, claim in enumerate(resources.claims or ()):
        at = (*path, "claims", index)
        if not claim.name:
            errors.required(at)
            continue
        key = f"{claim.name}/{claim.request}" if claim.request else claim.name
        if claim.request:
            errors.check_dns_label((*at, "request"), claim.request)
        if claim.name in seen or key in seen:
            errors.duplicate(at, claim.name if claim.name in seen else key)
        seen.add(key)
        if claim.name not in claims:
            known = f": {', '.join(sorted(claims))}" if claims else " which is empty"
            errors.not_found(at, claim.name, f"must be one of the names in pod.spec.resourceClaims{known}")


def is_huge(name: str) -> bool:
    """Tells whether the resource is huge pages of one size: "hugepages-2Mi"."""
    return name.startswith(HUGE_PAGES_PREFIX)


def _is_multiple(name: str, value: str) -> bool:
    """Tells whether an amount of huge pages is a whole number of pages. Malformed sizes are reported elsewhere."""
    try:
        page = parse_quantity(name.removeprefix(HUGE_PAGES_PREFIX))
    except QuantityError:
        return True
    return page > 0 and (parse_quantity(value) / page).denominator == 1


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Tells whether the resource has the domain of a vendor: it is then counted, and can't be overcommitted."""
    return not _is_native(name) and not name.startswith("requests.")
