"""Writes the state of the autoscaler into the ConfigMap cluster-autoscaler-status, in upstream's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apimachinery.errors import NotFound
from apimachinery.meta import ObjectMeta
from apimachinery.text.yaml import to_yaml
from apimachinery.times import format_time
from cluster_autoscaler.groups import GroupState, is_started
from componentbase.clock import Clock
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.node import Node
from kubeclient.rest import RestClient

LAST_UPDATED = "cluster-autoscaler.kubernetes.io/last-updated"
REWRITE_SECONDS = 60.0
"""A status that says nothing new is written this often, so that readers see that somebody looks."""
OK_UNREADY_COUNT, MAX_UNREADY_SHARE = 3, 0.45
"""So many nodes may be unready in any case, and beyond that this share of them."""

Dict = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counts:
    """Nodes, of a group or of all."""

    total: int
    ready: int
    upcoming: int
    late: int

    @property
    def unready(self) -> int:
        return self.total - self.ready

    @property
    def healthy(self) -> bool:
        return self.unready <= OK_UNREADY_COUNT or self.unready <= MAX_UNREADY_SHARE * self.total

    def document(self) -> Dict:
        return {
            "registered": {"total": self.total, "ready": self.ready, "notStarted": min(self.upcoming, self.unready)},
            "longUnregistered": self.late,
            "unregistered": max(self.upcoming - self.unready, 0),
        }


@dataclass(frozen=True, slots=True)
class Observed:
    """Holds the result of a look at the cluster."""

    nodes: Sequence[Node]
    states: Sequence[GroupState]
    candidates: Sequence[str]
    """Names of unneeded nodes."""

    def counts(self) -> Counts:
        return Counts(
            len(self.nodes),
            sum(1 for node in self.nodes if is_started(node)),
            sum(state.upcoming for state in self.states),
            sum(len(state.late) for state in self.states),
        )


def group_counts(state: GroupState) -> Counts:
    return Counts(len(state.nodes), len(state.started), state.upcoming, len(state.late))


class Transitions:
    """Remembers since when a status has been what it is."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}

    def stamp(self, what: str, status: str, now: float) -> Dict:
        """Returns the status of `what` with its times."""
        before = self._since.get(what)
        if before is None or before[0] != status:
            self._since[what] = before = (status, now)
        return {
            "status": status,
            "lastProbeTime": format_time(now),
            "lastTransitionTime": format_time(before[1]),
        }


def status_document(observed: Observed, transitions: Transitions, now: float) -> Dict:
    candidates = set(observed.candidates)
    groups = [_group(state, candidates, transitions, now) for state in observed.states]
    counts = observed.counts()
    growing = any(state.upcoming for state in observed.states)
    whole = {
        "health": _health("all", counts, transitions, now),
        "scaleUp": transitions.stamp("all scaleUp", "InProgress" if growing else "NoActivity", now),
        "scaleDown": _scale_down("all", len(candidates), transitions, now),
    }
    document: Dict = {"time": format_time(now), "autoscalerStatus": "Running", "clusterWide": whole}
    return document | ({"nodeGroups": groups} if groups else {})


def _group(state: GroupState, candidates: set[str], transitions: Transitions, now: float) -> Dict:
    name = state.name
    sizes = {
        "cloudProviderTarget": state.target,
        "minSize": state.group.min_size,
        "maxSize": state.group.max_size,
    }
    growth = "InProgress" if state.upcoming else "Backoff" if state.backed_off else "NoActivity"
    unneeded = sum(1 for node in state.nodes if node.name in candidates)
    return {
        "name": name,
        "health": _health(name, group_counts(state), transitions, now) | sizes,
        "scaleUp": transitions.stamp(f"{name} scaleUp", growth, now),
        "scaleDown": _scale_down(name, unneeded, transitions, now),
    }


def _health(what: str, counts: Counts, transitions: Transitions, now: float) -> Dict:
    stamped = transitions.stamp(f"{what} health", "Healthy" if counts.healthy else "Unhealthy", now)
    return stamped | {"nodeCounts": counts.document()}


def _scale_down(what: str, candidates: int, transitions: Transitions, now: float) -> Dict:
    status = "CandidatesPresent" if candidates else "NoCandidates"
    return transitions.stamp(f"{what} scaleDown", status, now) | {"candidates": candidates}


def significant(value: Any) -> Any:
    """Returns the document without the times of looking."""
    if isinstance(value, Mapping):
        return {key: significant(item) for key, item in value.items() if key not in ("time", "lastProbeTime")}
    return [significant(item) for item in value] if isinstance(value, list) else value


class StatusWriter:
    """Keeps the ConfigMap up to date. `stored` is what events about groups are attached to."""

    def __init__(self, rest: RestClient, clock: Clock, namespace: str, name: str) -> None:
        self._rest, self._clock = rest, clock
        self.stored = ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace))
        self._transitions = Transitions()
        self._written: Any = None
        self._written_at = 0.0

    async def write(self, observed: Observed) -> None:
        """Raises: as RestClient's methods."""
        now = self._clock.now()
        document = status_document(observed, self._transitions, now)
        worth = significant(document)
        if worth == self._written and self._clock.monotonic() - self._written_at < REWRITE_SECONDS:
            return
        data, annotations = {"status": to_yaml(document)}, {LAST_UPDATED: format_time(now)}

        def change(current: ConfigMap) -> ConfigMap:
            changed = current.clone()
            changed.data, changed.metadata.annotations = data, current.annotations | annotations
            return changed

        meta = self.stored.metadata
        try:
            self.stored = await self._rest.update_with(ConfigMap, meta.name or "", meta.namespace or "", change)
        except NotFound:
            fresh = ObjectMeta(name=meta.name, namespace=meta.namespace)
            self.stored = await self._rest.create(change(ConfigMap(metadata=fresh)))
        self._written, self._written_at = worth, self._clock.monotonic()
