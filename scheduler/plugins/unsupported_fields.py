"""UnsupportedFields: lets a pod wait that asks for what no plugin here can see to, and says why."""

from __future__ import annotations

from scheduler.events import WAITING_POD, Change
from scheduler.framework import SKIP, Cycle, Plugin, PluginSpec, Rejected, Skip
from scheduler.views.pod import Pod


def unsupported(pod: Pod) -> str:
    """Returns the first such field, "" for none."""
    for number, volume in enumerate(pod.spec.volumes or ()):
        if volume.persistentVolumeClaim is not None:
            return f"spec.volumes[{number}].persistentVolumeClaim"
        if volume.ephemeral is not None:
            return f"spec.volumes[{number}].ephemeral"
    return "spec.resourceClaims" if pod.spec.resourceClaims else ""


class UnsupportedFields(Plugin):
    local = False

    def pre_filter(self, cycle: Cycle) -> Skip | Rejected:
        field = unsupported(cycle.pod)
        return Rejected(f"{field} is not supported by this scheduler") if field else SKIP


PLUGIN = PluginSpec("UnsupportedFields", UnsupportedFields, order=0, requeue_on={WAITING_POD: Change.SPEC})
