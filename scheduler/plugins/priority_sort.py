"""PrioritySort: schedules pods of higher priority first."""

from __future__ import annotations

from scheduler.framework import Plugin, PluginSpec
from scheduler.views.pod import Pod


class PrioritySort(Plugin):
    def sort_key(self, pod: Pod) -> int:
        return -(pod.spec.priority or 0)


PLUGIN = PluginSpec("PrioritySort", PrioritySort)
