"""Chooses devices for claims on one node: the first choice, in the order of requests and devices, that meets all.

The search goes back and tries the next device where one leads nowhere. Of devices that differ in their names alone only
one is tried in a place, and those of one request are taken in order, so that no two tries are alike but for names.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

from kubeapi.resource.resourceclaim.model import MAX_DEVICES, DeviceId
from scheduler.plugins.devices._inventory import Candidate, NodeDevices
from scheduler.plugins.devices._requests import Alternative, ClaimNeeds

FREE_STEPS = 200  # of the search on one node; most need a few for each device
MAX_STEPS = 10_000  # more on all nodes together, half a second: the scheduler's loop waits for it


@dataclass(slots=True)
class Patience:
    """The steps that are left, for one pod, to searches that take longer than most."""

    steps: int = MAX_STEPS


class NodeUnfit(Exception):
    """The node can't serve the claims, for a reason of its own."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A device for a request."""

    alternative: Alternative
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class _Place:
    """The next device to be chosen: number `device` of a request. `start` is the first candidate to look at."""

    claim: int = 0
    request: int = 0
    alternative: int | None = None
    device: int = 0
    start: int = 0


def allocate(
    claims: Sequence[ClaimNeeds], node: NodeDevices, in_use: Container[DeviceId], patience: Patience
) -> list[list[Placed]] | None:
    """Returns the devices of each claim, None if there are not enough. Raises: NodeUnfit; AllocationError."""
    search = _Search(claims, node, in_use)
    if search.run(patience):
        return search.placed
    if node.invalid:
        raise NodeUnfit("invalid resource pools were encountered")
    return None


class _Search:
    def __init__(self, claims: Sequence[ClaimNeeds], node: NodeDevices, in_use: Container[DeviceId]) -> None:
        self._claims, self._node, self._in_use = claims, node, in_use
        self.placed: list[list[Placed]] = [[] for _ in claims]
        self._users: dict[DeviceId, list[int]] = {}
        """The claims that have chosen a device."""
        self._values: list[list[list[object]]] = [[[] for _ in claim.constraints] for claim in claims]
        """By claim and constraint, the attribute's value of each device that was chosen."""
        self._all: dict[tuple[int, int, int], list[Candidate]] = {}

    def run(self, patience: Patience) -> bool:
        """Raises: NodeUnfit; AllocationError."""
        steps, ways = 0, [self._ways(_Place())]
        while ways:
            place = next(ways[-1], None)
            if place is None:
                ways.pop()
            elif place.claim == len(self._claims):
                return True
            else:
                ways.append(self._ways(place))
                steps += 1
                if steps > FREE_STEPS:
                    if not patience.steps:
                        raise NodeUnfit("timed out trying to allocate devices")
                    patience.steps -= 1
        return False

    def _ways(self, at: _Place) -> Iterator[_Place]:
        """Yields where to go on, for each choice in this place; the choice stands until the next is asked for."""
        if at.claim == len(self._claims):
            yield at
            return
        requests = self._claims[at.claim].requests
        if at.request == len(requests):
            yield _Place(at.claim + 1)
            return
        if at.alternative is None:
            for number in range(len(requests[at.request])):
                yield replace(at, alternative=number)
            return
        alternative = requests[at.request][at.alternative]
        if alternative.count is None:
            yield from self._take_all(at, alternative)
        elif at.device == alternative.count:
            yield _Place(at.claim, at.request + 1)
        elif len(self.placed[at.claim]) + alternative.count - at.device <= MAX_DEVICES:
            yield from self._take_one(at, alternative)

    def _take_one(self, at: _Place, alternative: Alternative) -> Iterator[_Place]:
        tried = set()
        for number in range(at.start, len(self._node.candidates)):
            candidate = self._node.candidates[number]
            if candidate.kind in tried or not self._is_free(at.claim, alternative, candidate):
                continue
            if not alternative.matches(candidate):
                continue
            if not alternative.admin:
                tried.add(candidate.kind)
            if self._place(at.claim, alternative, candidate):
                yield replace(at, device=at.device + 1, start=number + 1)
                self._take_back(at.claim)

    def _take_all(self, at: _Place, alternative: Alternative) -> Iterator[_Place]:
        candidates = self._every(at, alternative)
        if not candidates or len(self.placed[at.claim]) + len(candidates) > MAX_DEVICES:
            return
        if all(self._is_free(at.claim, alternative, candidate) for candidate in candidates):
            for candidate in candidates:
                if not self._place(at.claim, alternative, candidate):
                    why = f"cannot add device {candidate.id} because a claim constraint would not be satisfied"
                    raise NodeUnfit(f"{self._named(at, alternative)}: {why}")
            yield _Place(at.claim, at.request + 1)
            for _ in candidates:
                self._take_back(at.claim)

    def _every(self, at: _Place, alternative: Alternative) -> list[Candidate]:
        """Returns all devices that match, which nobody can tell while one of the node's pools is not to be trusted."""
        for pools, state in ((self._node.updating, "being updated"), (self._node.invalid, "invalid")):
            if pools:
                why = f"asks for all devices, but resource pool {pools[0]} is currently {state}"
                raise NodeUnfit(f"{self._named(at, alternative)}: {why}")
        assert at.alternative is not None
        key = at.claim, at.request, at.alternative
        if key not in self._all:
            self._all[key] = [candidate for candidate in self._node.candidates if alternative.matches(candidate)]
        return self._all[key]

    def _named(self, at: _Place, alternative: Alternative) -> str:
        return f"claim {self._claims[at.claim].claim.key}, request {alternative.name.rpartition('/')[2]}"

    def _is_free(self, claim: int, alternative: Alternative, candidate: Candidate) -> bool:
        """Those who administrate devices share them with all others, but have each once in a claim."""
        users = self._users.get(candidate.id, ())
        return claim not in users if alternative.admin else not users and candidate.id not in self._in_use

    def _place(self, claim: int, alternative: Alternative, candidate: Candidate) -> bool:
        """Chooses the device, unless a constraint of the claim forbids it."""
        noted = []
        for constraint, values in zip(self._claims[claim].constraints, self._values[claim], strict=True):
            if constraint.concerns(alternative.name):
                value = candidate.kind.attribute(constraint.attribute)
                if value is None or (values and values[-1] != value):
                    return False
                noted.append((values, value))
        for values, value in noted:
            values.append(value)
        self._users.setdefault(candidate.id, []).append(claim)
        self.placed[claim].append(Placed(alternative, candidate))
        return True

    def _take_back(self, claim: int) -> None:
        """Undoes the last choice for the claim."""
        last = self.placed[claim].pop()
        self._users[last.candidate.id].remove(claim)
        for constraint, values in zip(self._claims[claim].constraints, self._values[claim], strict=True):
            if constraint.concerns(last.alternative.name):
                values.pop()
