"""UnsupportedFields: lets a pod wait that asks for what no plugin here can see to, and says why."""

from __future__ import annotations

from scheduler.events import WAITING_POD, Change
from scheduler.framework import SKIP, Cycle, Plugin, PluginSpec, Rejected, Skip


class UnsupportedFields(Plugin):
    local = False

    def pre_filter(self, cycle: Cycle) -> Skip | Rejected:
        if not cycle.pod.spec.resourceClaims:
            return SKIP
        return Rejected("spec.resourceClaims is not supported by this scheduler")


PLUGIN = PluginSpec("UnsupportedFields", UnsupportedFields, order=0, requeue_on={WAITING_POD: Change.SPEC})
