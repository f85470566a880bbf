"""SchedulingGates: lets a pod wait until its last gate is taken away."""

from __future__ import annotations

from scheduler.events import WAITING_POD, Change
from scheduler.framework import Plugin, PluginSpec, Rejected
from scheduler.views.pod import Pod


class SchedulingGates(Plugin):
    def pre_enqueue(self, pod: Pod) -> Rejected | None:
        if not pod.spec.schedulingGates:
            return None
        names = " ".join(gate.name for gate in pod.spec.schedulingGates)
        return Rejected(f"waiting for scheduling gates: [{names}]")


PLUGIN = PluginSpec("SchedulingGates", SchedulingGates, order=1, requeue_on={WAITING_POD: Change.SPEC})
