"""The rules of claims: what is asked for, and what may stand in the status.

Source: Kubernetes API reference, "ResourceClaim".
"""

from __future__ import annotations

import re
from functools import partial
from ipaddress import ip_interface

from apimachinery.meta import Condition
from apimachinery.names import dns_subdomain_errors, qualified_name_errors
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.validation.affinity import check_node_selector
from kubeapi.core.pod.validation.storagevolumes import check_driver_name
from kubeapi.resource._checks import (
    MOST_ITEMS,
    check_configuration,
    check_each,
    check_label,
    check_pool_name,
    check_qualified_name,
    check_size,
)
from kubeapi.resource._selectors import check_selector
from kubeapi.resource.resourceclaim.model import (
    ALL,
    EXACT_COUNT,
    MAX_DEVICES,
    AllocatedDeviceStatus,
    AllocationResult,
    DeviceAllocationConfiguration,
    DeviceClaimConfiguration,
    DeviceConstraint,
    DeviceId,
    DeviceRequest,
    DeviceRequestAllocationResult,
    DeviceSubRequest,
    ExactDeviceRequest,
    NetworkDeviceData,
    ResourceClaim,
    ResourceClaimConsumerReference,
    ResourceClaimSpec,
    ResourceClaimStatus,
)
from kubeapi.resource.resourceclaim.pods import MAX_CONSUMERS

_CONDITION_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?\Z")
_REASON_RULE = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    "'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is "
    f"'{_CONDITION_REASON.pattern[:-2]}')"
)
_REQUEST_RULE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_WAYS = "exactly one of `exactly` or `firstAvailable` is required"


def check_claim_spec(errors: Errors, path: Path, spec: ResourceClaimSpec) -> None:
    path, devices = (*path, "devices"), spec.devices
    names = _request_names(spec)
    check_each(errors, (*path, "requests"), devices.requests, _check_request, key=lambda request: request.name)
    check_each(errors, (*path, "constraints"), devices.constraints, partial(_check_constraint, names))
    check_each(errors, (*path, "config"), devices.config, partial(_check_config, names))


def _request_names(spec: ResourceClaimSpec) -> frozenset[str]:
    """Returns the names by which requests and their alternatives are referred to."""
    names = set[str]()
    for request in spec.devices.requests:
        names |= {request.name, *(f"{request.name}/{part.name}" for part in request.firstAvailable or ())}
    return frozenset(names)


def _check_request(errors: Errors, path: Path, request: DeviceRequest) -> None:
    check_label(errors, (*path, "name"), request.name)
    if request.exactly is not None and request.firstAvailable:
        errors.contradictory(path, f"{_WAYS}, but multiple fields are set")
    elif request.exactly is not None:
        _check_devices(errors, (*path, "exactly"), request.exactly)
    elif request.firstAvailable:
        at = (*path, "firstAvailable")
        check_each(errors, at, request.firstAvailable, _check_alternative, most=8, key=lambda part: part.name)
    else:
        errors.required(path, _WAYS)


def _check_alternative(errors: Errors, path: Path, part: DeviceSubRequest) -> None:
    check_label(errors, (*path, "name"), part.name)
    _check_devices(errors, path, part)


def _check_devices(errors: Errors, path: Path, request: ExactDeviceRequest | DeviceSubRequest) -> None:
    errors.check_name((*path, "deviceClassName"), request.deviceClassName, dns_subdomain_errors)
    check_each(errors, (*path, "selectors"), request.selectors, check_selector)
    count = request.count or 0
    if request.allocationMode not in (ALL, EXACT_COUNT):
        errors.not_supported((*path, "allocationMode"), request.allocationMode, (ALL, EXACT_COUNT))
    elif request.allocationMode == ALL and count:
        errors.invalid((*path, "count"), count, f"must not be specified when allocationMode is '{ALL}'")
    elif request.allocationMode == EXACT_COUNT and count <= 0:
        errors.invalid((*path, "count"), count, "must be greater than zero")


def _check_constraint(names: frozenset[str], errors: Errors, path: Path, constraint: DeviceConstraint) -> None:
    _check_references(names, errors, path, constraint)
    at, attribute = (*path, "matchAttribute"), constraint.matchAttribute
    if attribute is None:
        errors.required(at)
        return
    check_qualified_name(errors, at, attribute)
    if "/" not in attribute:
        errors.invalid(at, attribute, "a fully qualified name must be a domain and a name separated by a slash")


def _check_config(
    names: frozenset[str],
    errors: Errors,
    path: Path,
    config: DeviceClaimConfiguration | DeviceAllocationConfiguration,
) -> None:
    if isinstance(config, DeviceAllocationConfiguration):
        errors.check_one_of((*path, "source"), config.source, ("FromClaim", "FromClass"))
    _check_references(names, errors, path, config)
    check_configuration(errors, path, config)


def _check_references(
    names: frozenset[str],
    errors: Errors,
    path: Path,
    item: DeviceConstraint | DeviceClaimConfiguration | DeviceAllocationConfiguration,
) -> None:
    check = partial(_check_reference, names)
    check_each(errors, (*path, "requests"), item.requests, check, key=lambda name: name)


def _check_reference(names: frozenset[str], errors: Errors, path: Path, name: str) -> None:
    if name.count("/") > 1:
        errors.invalid(path, name, _REQUEST_RULE)
        return
    for part in name.split("/"):
        check_label(errors, path, part)
    if name not in names:
        errors.invalid(path, name, _REQUEST_RULE)


# Status


def allocated_devices(status: ResourceClaimStatus) -> set[DeviceId]:
    if status.allocation is None:
        return set()
    return {result.id for result in status.allocation.devices.results or ()}


def check_claim_status(errors: Errors, path: Path, claim: ResourceClaim, old: ResourceClaim) -> None:
    """An allocation may be set or cleared, and stays as it is between."""
    status, before, names = claim.status, old.status, _request_names(claim.spec)
    at = (*path, "reservedFor")
    check_each(errors, at, status.reservedFor, _check_consumer, most=MAX_CONSUMERS, key=lambda item: item.uid)
    check = partial(_check_device_status, allocated_devices(status))
    check_each(errors, (*path, "devices"), status.devices, check, most=None, key=lambda item: item.id)
    if status.reservedFor and status.allocation is None:
        errors.forbidden(at, "may not be specified when `allocated` is not set")
    elif claim.metadata.deletionTimestamp is not None and any(
        item not in (before.reservedFor or ()) for item in status.reservedFor or ()
    ):
        text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.forbidden(at, text)
    if status.allocation is not None and before.allocation is not None:
        errors.check_immutable((*path, "allocation"), status.allocation, before.allocation)
    elif status.allocation is not None:
        _check_allocation(errors, (*path, "allocation"), status.allocation, names)


def _check_consumer(errors: Errors, path: Path, consumer: ResourceClaimConsumerReference) -> None:
    for field in ("resource", "name", "uid"):
        if not getattr(consumer, field):
            errors.required((*path, field))


def _check_allocation(errors: Errors, path: Path, allocation: AllocationResult, names: frozenset[str]) -> None:
    devices, at = allocation.devices, (*path, "devices")
    check_each(errors, (*at, "results"), devices.results, partial(_check_result, names), most=MAX_DEVICES)
    check_each(errors, (*at, "config"), devices.config, partial(_check_config, names), most=2 * MOST_ITEMS)
    if allocation.nodeSelector is not None:
        check_node_selector(errors, (*path, "nodeSelector"), allocation.nodeSelector)


def _check_result(names: frozenset[str], errors: Errors, path: Path, result: DeviceRequestAllocationResult) -> None:
    _check_reference(names, errors, (*path, "request"), result.request)
    _check_device_id(errors, path, result)


def _check_device_id(errors: Errors, path: Path, item: DeviceRequestAllocationResult | AllocatedDeviceStatus) -> None:
    check_driver_name(errors, (*path, "driver"), item.driver)
    check_pool_name(errors, (*path, "pool"), item.pool)
    check_label(errors, (*path, "device"), item.device)


def _check_device_status(allocated: set[DeviceId], errors: Errors, path: Path, device: AllocatedDeviceStatus) -> None:
    _check_device_id(errors, path, device)
    if device.id not in allocated:
        errors.invalid(path, str(device.id), "must be an allocated device in the claim")
    if len(device.conditions) > 8:
        errors.too_many((*path, "conditions"), len(device.conditions), 8)
    types = set[str]()
    for index, condition in enumerate(device.conditions):
        _check_condition(errors, (*path, "conditions", index), condition)
        if condition.type in types:
            errors.duplicate((*path, "conditions", index, "type"), condition.type)
        types.add(condition.type)
    check_size(errors, (*path, "data"), device.data)
    if device.networkData is not None:
        _check_network(errors, (*path, "networkData"), device.networkData)


def _check_condition(errors: Errors, path: Path, condition: Condition) -> None:
    errors.check_messages((*path, "type"), condition.type, qualified_name_errors(condition.type))
    if condition.status not in ("True", "False", "Unknown"):
        errors.not_supported((*path, "status"), condition.status, ("False", "True", "Unknown"))
    if (condition.observedGeneration or 0) < 0:
        text = "must be greater than or equal to zero"
        errors.invalid((*path, "observedGeneration"), condition.observedGeneration, text)
    if not condition.lastTransitionTime:
        errors.required((*path, "lastTransitionTime"))
    if len(condition.reason.encode()) > 1024:
        errors.too_long((*path, "reason"), 1024)
    if not condition.reason:
        errors.required((*path, "reason"))
    elif not _CONDITION_REASON.match(condition.reason):
        errors.invalid((*path, "reason"), condition.reason, _REASON_RULE)
    if len(condition.message.encode()) > 32 * 1024:
        errors.too_long((*path, "message"), 32 * 1024)


def _check_network(errors: Errors, path: Path, data: NetworkDeviceData) -> None:
    for field, most in (("interfaceName", 256), ("hardwareAddress", 128)):
        if len((getattr(data, field) or "").encode()) > most:
            errors.too_long((*path, field), most)
    check_each(errors, (*path, "ips"), data.ips, _check_address, most=16, key=lambda address: address)


def _check_address(errors: Errors, path: Path, address: str) -> None:
    try:
        interface = ip_interface(address) if "/" in address else None
    except ValueError:
        interface = None
    if interface is None:
        errors.invalid(path, address, "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)")
    elif str(interface) != address:
        errors.invalid(path, address, f'must be in canonical form ("{interface}")')
