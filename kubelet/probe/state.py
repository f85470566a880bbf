"""Judges a row of probe results. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kubeapi.core.pod.probes import Probe

Verdict = Literal["success", "failure", "unknown"]
ProbeKind = Literal["liveness", "readiness", "startup"]
Outcome = Literal["success", "failure", "warning", "error"]
"""`warning` counts as success, with an event; `error`: the probe itself could not be made, and nothing changes."""

INITIAL: dict[ProbeKind, Verdict] = {"liveness": "success", "readiness": "failure", "startup": "unknown"}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    outcome: Outcome
    output: str = ""


@dataclass(slots=True)
class ProbeState:
    """Counts results; `verdict` changes only when a threshold is reached."""

    kind: ProbeKind
    success_threshold: int
    failure_threshold: int
    verdict: Verdict
    last: Literal["success", "failure", ""] = ""
    run: int = 0

    @classmethod
    def start(cls, kind: ProbeKind, probe: Probe, verdict: Verdict | None = None) -> ProbeState:
        """`verdict` carries over what was known of the same container before the kubelet restarted."""
        initial = INITIAL[kind] if verdict is None else verdict
        return cls(kind, max(probe.successThreshold, 1), max(probe.failureThreshold, 1), initial)

    def observe(self, outcome: Outcome) -> bool:
        """Counts one result; True when the verdict has changed."""
        if outcome == "error":
            return False
        result: Literal["success", "failure"] = "failure" if outcome == "failure" else "success"
        self.run = self.run + 1 if result == self.last else 1
        self.last = result
        if self.run < (self.failure_threshold if result == "failure" else self.success_threshold):
            return False
        changed = self.verdict != result
        self.verdict = result
        return changed

    @property
    def done(self) -> bool:
        """No more probing: the container has started, or it is going to be killed."""
        if self.kind == "startup":
            return self.verdict in ("success", "failure")
        return self.kind == "liveness" and self.verdict == "failure"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Probe results by container id; a container without such a probe is missing."""

    liveness: Mapping[str, Verdict] = field(default_factory=dict)
    startup: Mapping[str, Verdict] = field(default_factory=dict)
