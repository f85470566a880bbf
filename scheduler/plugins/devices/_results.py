"""Writes down what was chosen for a claim: its devices, their configuration, and the nodes that can reach them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeapi.core.pod.scheduling.affinity import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from kubeapi.core.pod.scheduling.nodeselection import NAME_FIELD
from kubeapi.resource.resourceclaim.model import (
    AllocationResult,
    DeviceAllocationConfiguration,
    DeviceAllocationResult,
    DeviceRequestAllocationResult,
)
from scheduler.plugins.devices._allocator import Placed
from scheduler.plugins.devices._inventory import Candidate
from scheduler.plugins.devices._requests import Alternative, ClaimNeeds

MOST_ALTERNATIVES = 8  # of a request


def allocation_result(needs: ClaimNeeds, placed: Sequence[Placed]) -> AllocationResult:
    results = [
        DeviceRequestAllocationResult(
            request=item.alternative.name,
            **item.candidate.id._asdict(),
            adminAccess=True if item.alternative.admin else None,
        )
        for item in placed
    ]
    devices = DeviceAllocationResult(results=results or None, config=_configuration(needs, placed) or None)
    return AllocationResult(devices=devices, nodeSelector=_node_selector(item.candidate for item in placed))


def preference(needs: ClaimNeeds, placed: Sequence[Placed]) -> int:
    """Rates how good the alternatives are that were chosen: MOST_ALTERNATIVES for the first of a request, and so on."""
    chosen = {item.alternative.name for item in placed}
    return sum(
        MOST_ALTERNATIVES - place
        for alternatives in needs.requests
        for place, item in enumerate(alternatives)
        if "/" in item.name and item.name in chosen
    )


def _configuration(needs: ClaimNeeds, placed: Sequence[Placed]) -> list[DeviceAllocationConfiguration]:
    """Lists what classes say of their requests, and then what the claim says of those that were chosen."""
    chosen = {item.alternative.name: item.alternative for item in placed}
    by_class: dict[str, list[Alternative]] = {}
    for alternative in chosen.values():
        by_class.setdefault(alternative.device_class.name, []).append(alternative)
    found = [
        DeviceAllocationConfiguration(source="FromClass", requests=[item.name for item in users], opaque=config.opaque)
        for users in by_class.values()
        for config in users[0].device_class.spec.config or ()
    ]
    names = {part for name in chosen for part in (name, name.partition("/")[0])}
    for config in needs.claim.spec.devices.config or ():
        if not config.requests or names & set(config.requests):
            found.append(
                DeviceAllocationConfiguration(source="FromClaim", requests=config.requests, opaque=config.opaque)
            )
    for item in found:
        if len(item.requests or ()) == len(needs.requests):
            item.requests = None  # which says: all
    return found


def _node_selector(candidates: Iterable[Candidate]) -> NodeSelector | None:
    """Returns None where all nodes can reach the devices."""
    term = NodeSelectorTerm()
    for candidate in candidates:
        spec = candidate.slice.spec
        if spec.nodeName:
            name = NodeSelectorRequirement(key=NAME_FIELD, operator="In", values=[spec.nodeName])
            return NodeSelector(nodeSelectorTerms=[NodeSelectorTerm(matchFields=[name])])
        for other in spec.nodeSelector.nodeSelectorTerms if spec.nodeSelector is not None else ():
            term.matchFields = _joined(term.matchFields, other.matchFields)
            term.matchExpressions = _joined(term.matchExpressions, other.matchExpressions)
    if not term.matchFields and not term.matchExpressions:
        return None
    return NodeSelector(nodeSelectorTerms=[term])


def _joined(
    one: list[NodeSelectorRequirement] | None, other: list[NodeSelectorRequirement] | None
) -> list[NodeSelectorRequirement] | None:
    return [*(one or ()), *(item for item in other or () if item not in (one or ()))] or None
