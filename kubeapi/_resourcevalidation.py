"""Checks of resource lists: `requests`, `limits`, `capacity`, `overhead`.

Source: Kubernetes documentation, "Resource Management for Pods and Containers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from apimachinery.names import qualified_name_errors
from apimachinery.quantity import parse_quantity
from kubeapi._validation import NOT_NEGATIVE, Errors, Path

if TYPE_CHECKING:
    from kubeapi._podspec import ContainerResizePolicy, ResourceRequirements

_CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_HUGE_PAGES = "hugepages-"
_INTEGER_RESOURCES = frozenset({"pods", "services", "secrets", "configmaps", "persistentvolumeclaims"})


def check_resources(errors: Errors, path: Path, resources: ResourceRequirements, claims: frozenset[str]) -> None:
    """A container's or a pod's requirements; `claims` are the names of the pod's `resourceClaims`."""
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
    """Not negative, and whole where the resource is counted. `path` is the list's own."""
    if value.startswith("-"):  # quantities are canonical: zero has no sign
        errors.invalid((*path, f"[{name}]"), value, NOT_NEGATIVE)
    elif name not in _CONTAINER_RESOURCES and _is_counted(name) and parse_quantity(value).denominator != 1:
        errors.invalid((*path, f"[{name}]"), value, "must be an integer")


def check_resource_list(errors: Errors, path: Path, quantities: Mapping[str, str] | None) -> None:
    """A list where any resource may stand, as a node's capacity."""
    for name, value in (quantities or {}).items():
        errors.check_messages((*path, f"[{name}]"), name, qualified_name_errors(name))
        check_quantity(errors, path, name, value)


def check_overhead(errors: Errors, path: Path, overhead: Mapping[str, str] | None) -> None:
    if overhead:
        _check_list(errors, path, overhead)


def check_resize_policy(
    errors: Errors, path: Path, policies: list[ContainerResizePolicy] | None, restart_policy: str
) -> None:
    seen: set[str] = set()
    for index, policy in enumerate(policies or ()):
        at = (*path, index)
        if policy.resourceName in seen:
            errors.duplicate(at, policy.resourceName)
        seen.add(policy.resourceName)
        errors.check_one_of((*at, "resourceName"), policy.resourceName, ("cpu", "memory"))
        errors.check_one_of((*at, "restartPolicy"), policy.restartPolicy, ("NotRequired", "RestartContainer"))
        if restart_policy == "Never" and policy.restartPolicy == "RestartContainer":
            errors.invalid(
                (*at, "restartPolicy"), policy.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"
            )


def _check_list(errors: Errors, path: Path, quantities: Mapping[str, str]) -> None:
    for name, value in quantities.items():
        if name not in _CONTAINER_RESOURCES:
            _check_container_resource_name(errors, path, name)
        check_quantity(errors, path, name, value)


def _check_container_resource_name(errors: Errors, path: Path, name: str) -> None:
    at = (*path, f"[{name}]")
    messages = qualified_name_errors(name)
    if messages:
        errors.check_messages(at, name, messages)
    elif "/" not in name:
        if not _is_huge(name):
            errors.invalid(at, name, "must be a standard resource for containers")
    elif not _is_extended(name):
        errors.invalid(at, name, "doesn't follow extended resource name standard")


def _check_against_limits(errors: Errors, path: Path, requests: Mapping[str, str], limits: Mapping[str, str]) -> None:
    for name, request in requests.items():
        limit = limits.get(name)
        strict = name not in _CONTAINER_RESOURCES and (_is_extended(name) or _is_huge(name))
        if limit is None:
            if strict:
                errors.required((*path, "limits"), "Limit must be set for non overcommitable resources")
        elif request != limit:
            asked, allowed = parse_quantity(request), parse_quantity(limit)
            if strict and asked != allowed:
                errors.invalid((*path, "requests"), request, f"must be equal to {name} limit of {limit}")
            elif asked > allowed:
                errors.invalid((*path, "requests"), request, f"must be less than or equal to {name} limit of {limit}")


def _check_huge_pages(errors: Errors, path: Path, quantities: Mapping[str, str]) -> None:
    if "cpu" not in quantities and "memory" not in quantities and any(map(_is_huge, quantities)):
        errors.forbidden(path, "HugePages require cpu or memory")


def _check_claims(errors: Errors, path: Path, resources: ResourceRequirements, claims: frozenset[str]) -> None:
    seen: set[tuple[str, str | None]] = set()
    for index, claim in enumerate(resources.claims or ()):
        at = (*path, "claims", index)
        if not claim.name:
            errors.required((*at, "name"))
        elif claim.name not in claims:
            errors.not_found((*at, "name"), claim.name)
        if (claim.name, claim.request) in seen:
            errors.duplicate(at, claim.name if claim.request is None else f"{claim.name}/{claim.request}")
        seen.add((claim.name, claim.request))
        if claim.request:
            errors.check_dns_label((*at, "request"), claim.request)


def _is_counted(name: str) -> bool:
    return name in _INTEGER_RESOURCES or _is_extended(name) or _is_huge(name)


def _is_huge(name: str) -> bool:
    return name.startswith(_HUGE_PAGES)


def _is_extended(name: str) -> bool:
    """Device and other resources that a vendor names under its own domain: counted, and never overcommitted."""
    prefix, slash, _ = name.partition("/")
    native = not slash or prefix == "kubernetes.io" or prefix.endswith(".kubernetes.io")
    return not native and not name.startswith("requests.")
