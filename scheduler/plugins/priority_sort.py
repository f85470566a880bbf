"""PrioritySort: pods of higher priority are scheduled first."""

from __future__ import annotations

from kubeapi.pod import Pod
from scheduler.framework import Plugin, PluginSpec


class PrioritySort(Plugin):
    def sort_key(self, pod: Pod) -> int:
        return -(pod.spec.priority or 0)


PLUGIN = PluginSpec("PrioritySort", PrioritySort)
