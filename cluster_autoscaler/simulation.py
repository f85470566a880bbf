"""Plays the scheduler: its own filters and scores over nodes as they might be.

This is all that the autoscaler knows of the scheduler. A simulation is made anew for each question, which costs some
milliseconds for a hundred pods, so that nothing has to be undone and no two answers influence each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from apimachinery.meta import Object
from apimachinery.model import from_dict, to_dict
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeclient.rest import RestClient
from scheduler.configuration.load import Configuration, Profile, default_configuration
from scheduler.core.extension_points import Framework
from scheduler.core.placement import Choice, Placement
from scheduler.extenders import plugin as extenders
from scheduler.framework import Cycle, Handle, Lister, Unfit, kinds_read, pod_fields
from scheduler.state.cache import SchedulerCache
from scheduler.state.resources import CPU, MEMORY
from scheduler.state.shape import Shapes
from scheduler.views import node as node_view
from scheduler.views import pod as pod_view


class Rules:
    """Holds the rules of the scheduler: its profiles, and the volumes, Services and so on that their plugins look at.

    One instance of each plugin knows the nodes as they are, and learns by `prepare` and `run` what those of simulations
    take over. Extenders are left out: nobody could tell them of nodes that are not there.
    """

    def __init__(
        self, lister: Lister, configuration: Configuration | None = None, rest: RestClient | None = None
    ) -> None:
        """Raises: ValueError for plugins that can't work (together)."""
        profiles = (configuration or default_configuration()).profiles
        self._profiles = {profile.name: profile.without(extenders.NAME) for profile in profiles}
        self._specs = [spec for profile in self._profiles.values() for spec in profile.specs]
        self.lister = lister
        self.fields = pod_fields(self._specs)
        self._pod_model: type[pod_view.Pod] = pod_view.pod_view(self.fields).model
        self._cache = SchedulerCache(Shapes(self.fields))
        handle = Handle(self._cache, lister, rest)
        self._learning = {
            name: Framework(profile.specs, handle, profile.points) for name, profile in self._profiles.items()
        }
        self._prepared = False

    def reads(self) -> list[type[Object]]:
        """Lists the kinds beyond pods and nodes that plugins look at."""
        return kinds_read(self._specs)

    def profile_of(self, pod: pod_view.Pod) -> Profile:
        """Returns the pod's own, and the first for pods of another scheduler."""
        return self._profiles.get(pod.spec.schedulerName) or next(iter(self._profiles.values()))

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is not None:
            self._cache.put_node(node_as_seen(new))
        elif old is not None:
            self._cache.remove_node(old.name)

    async def prepare(self) -> None:
        """Has plugins learn what they must know before their first answer."""
        if not self._prepared:
            for framework in self._learning.values():
                for plugin in framework.prepares:
                    await plugin.prepare()
            self._prepared = True

    async def run(self) -> None:
        """Has plugins go on learning, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for framework in self._learning.values():
                for plugin in framework.background:
                    tasks.create_task(plugin.run())

    def placement(self, profile: Profile, cache: SchedulerCache) -> Placement:
        framework = Framework(profile.specs, Handle(cache, self.lister), profile.points)
        for plugin in framework.learners:
            plugin.learn_from(self._learning[profile.name].plugins[plugin.name])
        return Placement(framework, cache, percentage=profile.percentage)

    def view(self, pod: Pod, node: str = "") -> pod_view.Pod:
        """Returns the pod as the scheduler sees it, on another node if one is named."""
        document: dict[str, Any] = to_dict(pod)
        if node:
            document["spec"]["nodeName"] = node
        return from_dict(self._pod_model, document)


def node_as_seen(node: Node) -> node_view.Node:
    """Returns the node as the scheduler sees it."""
    return from_dict(node_view.Node, to_dict(node))


class Simulation:
    def __init__(self, rules: Rules, nodes: Iterable[Node] = (), pods: Iterable[Pod] = ()) -> None:
        self._rules = rules
        self._cache = SchedulerCache(Shapes(rules.fields))
        self._placements: dict[str, Placement] = {}
        for node in nodes:
            self.add_node(node)
        for pod in pods:
            if place := pod.spec.nodeName or pod.status.nominatedNodeName:
                self.put(pod, place)

    def add_node(self, node: Node) -> None:
        self._cache.put_node(node_as_seen(node))

    def drop_node(self, name: str) -> None:
        self._cache.remove_node(name)

    def put(self, pod: Pod, node: str) -> None:
        """Lets the pod be on the node, whether or not it fits."""
        self._cache.put_pod(self._rules.view(pod, node))

    def place(self, pod: Pod) -> str:
        """Puts the pod where the scheduler would, and returns the node; "" when it fits nowhere."""
        cycle = self._cycle(pod)
        outcome = self._choose(cycle)
        if isinstance(outcome, Unfit):
            return ""
        self._cache.assume(cycle.pod, cycle.shape, outcome.node, cycle.storage)
        return outcome.node

    def reasons(self, pod: Pod) -> list[str]:
        """Returns why the pod fits nowhere, as the scheduler words it, without its numbers of nodes."""
        outcome = self._choose(self._cycle(pod))
        if not isinstance(outcome, Unfit):
            return []
        _, _, counted = outcome.message.partition(": ")
        reasons = (counted or outcome.message).rstrip(".").split(", ")
        return [reason.partition(" ")[2] if reason[:1].isdigit() else reason for reason in reasons]

    def utilization(self, node: str) -> tuple[float, float]:
        """Returns the shares of the node's CPU and memory that its pods ask for."""
        table = self._cache.table
        row = table.rows[node]
        shares = []
        for number in (table.resources[CPU], table.resources[MEMORY]):
            total = int(table.allocatable[number, row])
            shares.append((total - int(table.free[number, row])) / total if total else 1.0)
        return shares[0], shares[1]

    def _choose(self, cycle: Cycle) -> Choice | Unfit:
        profile = self._rules.profile_of(cycle.pod)
        placement = self._placements.get(profile.name)
        if placement is None:
            placement = self._placements[profile.name] = self._rules.placement(profile, self._cache)
        return placement.choose(cycle)

    def _cycle(self, pod: Pod) -> Cycle:
        view = self._rules.view(pod)
        return Cycle(view, self._cache.shapes.of(view))
