"""Knows all devices that drivers offer, by the nodes that can reach them.

A pool consists of its slices of the newest generation, and is of use only once all of these are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from apimachinery.model import encode
from kubeapi.core.pod.scheduling.nodeselection import terms_match
from kubeapi.resource._selectors import device_matches, device_value
from kubeapi.resource.resourceclaim.model import DeviceId
from kubeapi.resource.resourceslice import Device, ResourceSlice

MATCHES = 64  # selectors whose answer about a device is remembered; all are forgotten when there are more


class DeviceKind:
    """Devices of a driver that differ in their names alone: what is true of one is true of all."""

    def __init__(self, driver: str, device: Device) -> None:
        self.driver, self._device = driver, device
        self._value: dict[str, Any] | None = None
        self._matches: dict[str, bool] = {}

    def matches(self, expression: str) -> bool:
        """Evaluates a selector. Raises: CompileError; EvaluationError; CostExceeded."""
        answer = self._matches.get(expression)
        if answer is None:
            if self._value is None:
                self._value = device_value(self.driver, self._device)
            if len(self._matches) >= MATCHES:
                self._matches.clear()
            answer = self._matches[expression] = device_matches(expression, self._value)
        return answer

    def attribute(self, name: str) -> object:
        """Returns the value and type of the attribute `name`, a domain and a short name; None if there is none."""
        attributes = self._device.attributes or {}
        found = attributes.get(name)
        if found is None:
            domain, _, short = name.partition("/")
            found = attributes.get(short) if domain == self.driver else None
        return encode(found) if found is not None else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that might be given to a claim."""

    id: DeviceId
    kind: DeviceKind
    slice: ResourceSlice


@dataclass(slots=True)
class Pool:
    """`slices` are those of the newest generation, of all nodes."""

    driver: str
    name: str
    generation: int
    slices: list[ResourceSlice] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.slices) == self.slices[0].spec.pool.resourceSliceCount

    @property
    def valid(self) -> bool:
        names = [device.name for item in self.slices for device in item.spec.devices or ()]
        return len(names) == len(set(names))


@dataclass(slots=True)
class NodeDevices:
    """The devices that a node can reach, in a fixed order, and the pools that it can't use yet."""

    candidates: list[Candidate] = field(default_factory=list)
    updating: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Reach:
    """Slices that the same nodes can reach, and the pools among them that can't be used yet."""

    slices: list[ResourceSlice] = field(default_factory=list)
    updating: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)


class Inventory:
    """Is made anew when slices change, from the one before: what was worked out for slices that stay is kept."""

    def __init__(self, slices: Iterable[ResourceSlice], before: Inventory | None = None) -> None:
        self._candidates: dict[tuple[str, str], list[Candidate]] = {}
        """By uid and version of the slice, once a node that reaches it has been looked at."""
        self._kinds: WeakValueDictionary[tuple[str, bytes], DeviceKind] = WeakValueDictionary()
        self._local: dict[str, _Reach] = {}
        self._shared: list[tuple[ResourceSlice, _Reach]] = []
        """Slices that several nodes may reach."""
        known = {}
        if before is not None:
            known, self._kinds = before._candidates, before._kinds
        for pool in _pools(slices):
            complete, valid = pool.complete, pool.valid
            for item in pool.slices:
                if (candidates := known.get(_version(item))) is not None:
                    self._candidates[_version(item)] = candidates
                if item.spec.nodeName:
                    reach = self._local.setdefault(item.spec.nodeName, _Reach())
                else:
                    reach = _Reach()
                    self._shared.append((item, reach))
                if not complete:
                    reach.updating.append(f"{pool.driver}/{pool.name}")
                elif not valid:
                    reach.invalid.append(f"{pool.driver}/{pool.name}")
                else:
                    reach.slices.append(item)

    def of_node(self, name: str, labels: Mapping[str, str]) -> NodeDevices:
        every = [self._local.get(name, _NOTHING)]
        every += [reach for item, reach in self._shared if _reaches(item, name, labels)]
        return NodeDevices(
            [candidate for reach in every for item in reach.slices for candidate in self._candidates_of(item)],
            [pool for reach in every for pool in reach.updating],
            [pool for reach in every for pool in reach.invalid],
        )

    def _candidates_of(self, item: ResourceSlice) -> list[Candidate]:
        candidates = self._candidates.get(_version(item))
        if candidates is None:
            spec = item.spec
            candidates = self._candidates[_version(item)] = [
                Candidate(DeviceId(spec.driver, spec.pool.name, device.name), self._kind(spec.driver, device), item)
                for device in spec.devices or ()
            ]
        return candidates

    def _kind(self, driver: str, device: Device) -> DeviceKind:
        key = driver, encode(device.model_copy(update={"name": ""}))
        return self._kinds.setdefault(key, DeviceKind(driver, device))


_NOTHING = _Reach()


def _version(item: ResourceSlice) -> tuple[str, str]:
    return item.metadata.uid or item.name, item.metadata.resourceVersion or ""


def _pools(slices: Iterable[ResourceSlice]) -> list[Pool]:
    """Returns them in the order of their names, so that equal clusters give equal answers."""
    pools: dict[tuple[str, str], Pool] = {}
    for item in slices:
        spec = item.spec
        pool = pools.get((spec.driver, spec.pool.name))
        if pool is None or pool.generation < spec.pool.generation:
            pool = pools[spec.driver, spec.pool.name] = Pool(spec.driver, spec.pool.name, spec.pool.generation)
        if pool.generation == spec.pool.generation:
            pool.slices.append(item)
    for pool in pools.values():
        pool.slices.sort(key=lambda item: item.name)
    return [pools[key] for key in sorted(pools)]


def _reaches(item: ResourceSlice, name: str, labels: Mapping[str, str]) -> bool:
    selector = item.spec.nodeSelector
    return bool(item.spec.allNodes) or (selector is not None and terms_match(selector.nodeSelectorTerms, name, labels))
