"""Schedules each pod by the profile of its `schedulerName`: plugins of its own, over a cache and a queue for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from apimachinery.meta import Object
from kubeclient.recorder import EventRecorder
from scheduler.configuration.load import Profile
from scheduler.core.extension_points import Framework
from scheduler.core.placement import Placement
from scheduler.events import ClusterEvent
from scheduler.framework import Handle, Plugin, kinds_read
from scheduler.state.shape import Shape
from scheduler.views.pod import Pod


@dataclass(frozen=True, slots=True)
class RunningProfile:
    framework: Framework
    placement: Placement
    recorder: EventRecorder


class Profiles:
    """Holds them by name; they are the queue's rules."""

    def __init__(self, profiles: Iterable[Profile], recorders: Mapping[str, EventRecorder], handle: Handle) -> None:
        """Raises: ValueError for plugins that can't work (together)."""
        self._running: dict[str, RunningProfile] = {}
        for profile in profiles:
            own = replace(handle, recorder=recorders[profile.name])
            framework = Framework(profile.specs, own, profile.points)
            placement = Placement(framework, handle.cache, percentage=profile.percentage)
            self._running[profile.name] = RunningProfile(framework, placement, recorders[profile.name])
        sorters = {item.framework.sorter.name for item in self._running.values()}
        if len(sorters) > 1:
            raise ValueError(f"profiles share a queue, which one plugin must sort for all, not {sorted(sorters)}")

    def __contains__(self, name: str) -> bool:
        return name in self._running

    def of(self, pod: Pod) -> RunningProfile:
        """Returns the profile of a pod for which there is one."""
        return self._running[pod.spec.schedulerName]

    def framework_of(self, pod: Pod) -> Framework:
        return self.of(pod).framework

    def plugins(self) -> list[Plugin]:
        return [plugin for item in self._running.values() for plugin in item.framework.plugins.values()]

    def reads(self) -> list[type[Object]]:
        """Lists the kinds beyond pods and nodes that plugins look at."""
        return kinds_read(spec for item in self._running.values() for spec in item.framework.specs.values())

    async def prepare(self) -> None:
        for item in self._running.values():
            for plugin in item.framework.prepares:
                await plugin.prepare()

    def background(self) -> list[Plugin]:
        """Lists the plugins that work beside the scheduler."""
        return [plugin for item in self._running.values() for plugin in item.framework.background]

    def observe(self, event: ClusterEvent) -> None:
        for item in self._running.values():
            item.framework.observe(event)

    # the queue's rules

    @property
    def sort_key(self) -> Callable[[Pod], Any]:
        return next(iter(self._running.values())).framework.sort_key

    def gate(self, pod: Pod) -> tuple[str, str] | None:
        return self.of(pod).framework.gate(pod)

    def asks_for(self, plugins: frozenset[str], event: ClusterEvent) -> bool:
        """Tells whether one of the plugins, in any profile, asked for events like this one."""
        return any(item.framework.asks_for(name, event) for item in self._running.values() for name in plugins)

    def may_help(self, plugins: frozenset[str], shape: Shape, event: ClusterEvent) -> bool:
        return self._running[shape.spec.schedulerName].framework.may_help(plugins, shape, event)
