"""Runs the plugins of a profile, by extension point, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from scheduler.events import NODE, WAITING_POD, Change, ClusterEvent
from scheduler.framework import (
    SKIP,
    Cycle,
    Handle,
    Only,
    Plugin,
    PluginSpec,
    PostFilterResult,
    Rejected,
    Skip,
    Unfit,
    extends,
    unfit_node,
)
from scheduler.state.shape import Shape
from scheduler.views.pod import Pod


class Framework:
    """Holds all plugins, by extension point, in order."""

    def __init__(
        self, specs: Iterable[PluginSpec], handle: Handle, points: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """`points` names the plugins that run at an extension point, in order; at one it lacks, all run.

        Raises: ValueError unless exactly one plugin sorts the queue and at least one binds.
        """
        self.specs = {spec.name: spec for spec in sorted(specs, key=lambda item: (item.order, item.name))}
        arguments = {name: spec.args for name, spec in self.specs.items() if spec.args is not None}
        handle = replace(handle, arguments=arguments)
        self.plugins = {name: spec.factory(name, handle) for name, spec in self.specs.items()}
        self._points = points or {}
        self.pre_enqueue = self._at("pre_enqueue")
        self.consults = self._at("consult")
        self._set_filters()
        self.post_filter, self.reviewers = self._at("post_filter"), self._at("review_victims")
        self.pre_score = frozenset(plugin.name for plugin in self._at("pre_score"))
        self.score = [plugin for plugin in self._at("score") if self.specs[plugin.name].weight]
        self.reserve = self._at("reserve")
        self.unreserve = self._at("unreserve", "reserve")
        self.permit = self._at("permit")
        self.pre_bind = self._at("pre_bind")
        self.slow = self._at("is_slow", "pre_bind")
        self.observers = self._at("observe")
        self.prepares, self.background = self._at("prepare"), self._at("run")
        self.learners = self._at("learn_from")
        self.bind = self._at("bind")
        self.post_bind = self._at("post_bind")
        self.weights = {name: spec.weight for name, spec in self.specs.items()}
        sorters = self._at("sort_key")
        if len(sorters) != 1:
            raise ValueError(f"exactly one plugin must sort the queue, not {[plugin.name for plugin in sorters]}")
        if not self.bind:
            raise ValueError("no plugin binds pods")
        self.sorter = sorters[0]
        self.sort_key = self.sorter.sort_key

    def _at(self, method: str, point: str = "") -> list[Plugin]:
        """Lists the plugins with this method, which is of the extension point `point` if that has another."""
        names = self._points.get(point or method, self.plugins)
        return [self.plugins[name] for name in names if extends(type(self.plugins[name]), method)]

    def _set_filters(self) -> None:
        """Lists in `filter` the plugins with a PreFilter alone, then those with a Filter."""
        pre_filters, filters = self._at("pre_filter"), self._at("filter")
        for plugin in self.plugins.values():
            plugin.filters = plugin in filters
        self.pre_filter = frozenset(plugin.name for plugin in pre_filters)
        self.filter = [plugin for plugin in pre_filters if not plugin.filters] + filters

    def run_pre_filter(self, plugin: Plugin, cycle: Cycle) -> Skip | Only | Rejected | None:
        return plugin.pre_filter(cycle) if plugin.name in self.pre_filter else None

    def run_pre_score(self, plugin: Plugin, cycle: Cycle) -> bool:
        """Tells whether the plugin's score counts for this pod."""
        return plugin.name not in self.pre_score or plugin.pre_score(cycle) is not SKIP

    def gate(self, pod: Pod) -> tuple[str, str] | None:
        """Returns (plugin, reason) of the first that keeps the pod out of the queue."""
        for plugin in self.pre_enqueue:
            rejected = plugin.pre_enqueue(pod)
            if rejected is not None:
                return plugin.name, rejected.reason
        return None

    def may_help(self, plugins: frozenset[str], shape: Shape, event: ClusterEvent) -> bool:
        """Tells whether the event may make the pod fit, by the word of the plugins that refused it.

        A pod that no plugin refused found no node at all.
        """
        if not plugins:
            return event.resource in (NODE, WAITING_POD)
        for name in plugins:
            if name not in self.specs:
                return True  # not a plugin: nothing tells what would help
            if self.asks_for(name, event) and self.plugins[name].hint(shape, event):
                return True
        return False

    def asks_for(self, plugin: str, event: ClusterEvent) -> bool:
        spec = self.specs.get(plugin)
        return spec is not None and bool(event.change & spec.requeue_on.get(event.resource, Change.NONE))

    async def run_post_filter(self, cycle: Cycle, unfit: Unfit) -> PostFilterResult:
        """Asks the plugins in turn until one nominates a node; none when there are no nodes at all."""
        cycle.reviewers = self.reviewers
        messages: list[str] = []
        nominated = None
        for plugin in self.post_filter if unfit.plugins else ():
            result = await plugin.post_filter(cycle, unfit)
            if result is not None:
                messages += [result.message] if result.message else []
                nominated = result.nominated if result.nominated is not None else nominated
            if nominated:
                break
        message = f"{unfit.message} {', '.join(messages)}" if messages else unfit.message
        return PostFilterResult(message, nominated)

    def run_reserve(self, cycle: Cycle, node: str) -> Unfit | None:
        for plugin in self.reserve:
            rejected = plugin.reserve(cycle, node)
            if rejected is not None:
                self.run_unreserve(cycle, node)
                return unfit_node(plugin.name, rejected.reason)
        return None

    def run_permit(self, cycle: Cycle, node: str) -> Unfit | dict[str, float]:
        """Returns how many seconds which plugins let the pod wait."""
        waits = {}
        for plugin in self.permit:
            answer = plugin.permit(cycle, node)
            if isinstance(answer, Rejected):
                self.run_unreserve(cycle, node)
                return unfit_node(plugin.name, answer.reason)
            if answer is not None:
                waits[plugin.name] = answer.seconds
        return waits

    def run_unreserve(self, cycle: Cycle, node: str) -> None:
        for plugin in reversed(self.unreserve):
            plugin.unreserve(cycle, node)

    def observe(self, event: ClusterEvent) -> None:
        for plugin in self.observers:
            plugin.observe(event)

    def is_slow(self, cycle: Cycle) -> bool:
        return any(plugin.is_slow(cycle) for plugin in self.slow)

    async def run_bind(self, cycle: Cycle, node: str) -> Rejected | None:
        """Runs PreBind, Bind and PostBind. Raises: what the API server answers."""
        for plugin in self.pre_bind:
            rejected = await plugin.pre_bind(cycle, node)
            if rejected is not None:
                return rejected
        for plugin in self.bind:
            if await plugin.bind(cycle, node):
                break
        else:
            return Rejected("no plugin bound the pod")
        for plugin in self.post_bind:
            plugin.post_bind(cycle, node)
        return None
