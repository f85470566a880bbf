"""Has a Job wait after failures before it makes pods again: 10 s, doubled with each failure, at most 10 min."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller_manager.controllers.workloads.job._pods import ended_at
from kubeapi.core.pod.model import Pod

FIRST_SECONDS = 10.0
MOST_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Failures:
    """The pods of a Job that failed since its last success."""

    count: int = 0
    last: float = 0.0
    """The Unix seconds of the last one."""

    def wait_seconds(self, now: float) -> float:
        """Returns the seconds until new pods may come; 0 without a failure."""
        return wait_seconds(self.count, self.last, now)

    def after(self, succeeded: Iterable[Pod], failed: Iterable[Pod]) -> Failures:
        """Returns the failures when these pods have ended as well: those before a success are forgiven."""
        successes = [ended_at(pod) for pod in succeeded]
        ends = [ended_at(pod) for pod in failed]
        if successes:
            ends = [end for end in ends if end > max(successes)]
            return Failures(len(ends), max(ends, default=0.0))
        return Failures(self.count + len(ends), max([self.last, *ends]))


def wait_seconds(failures: int, last: float, now: float) -> float:
    """Returns the seconds until a pod may come that follows so many failures, the last of them at `last`."""
    if not failures:
        return 0.0
    return max(last + min(FIRST_SECONDS * 2.0 ** min(failures - 1, 60), MOST_SECONDS) - now, 0.0)
