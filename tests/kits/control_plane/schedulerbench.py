"""A whole scheduler on a fake API, whose informers are fed by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from apimachinery.meta import Object
from componentbase.clock import Clock
from kubeclient.informer import Informers
from scheduler.configuration.load import DEFAULT_NAME, Configuration, Profile
from scheduler.core.scheduler import UNFINISHED_PODS, Scheduler
from scheduler.framework import PluginSpec, collect_plugins
from scheduler.views.node import Node
from scheduler.views.pod import Pod
from tests.kits.eventually import eventually_async

FULL = "0/1 nodes are available: 1 Insufficient cpu."
NO_VICTIMS = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."


class FakeRest:
    """Notes what is written; `failures` are raised by the next bindings and deletions, `hold…` hold writes up."""

    def __init__(self) -> None:
        self.bindings: list[tuple[str, str]] = []
        self.patches: list[tuple[str, dict[str, Any]]] = []
        self.deletions: list[str] = []
        self.failures: list[Exception] = []
        self.hold, self.hold_deletions, self.hold_patches = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for hold in (self.hold, self.hold_deletions, self.hold_patches):
            hold.set()
        self.under_way = self.most_under_way = 0

    async def bind(self, namespace: str, pod_name: str, node_name: str, *, uid: str = "") -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.hold.wait()
        finally:
            self.under_way -= 1
        if self.failures:
            raise self.failures.pop(0)
        self.bindings.append((f"{namespace}/{pod_name}", node_name))

    async def patch(
        self, model: type[Object], name: str, namespace: str, patch: dict[str, Any], **options: Any
    ) -> None:
        assert options["subresource"] == "status"
        await self.hold_patches.wait()
        self.patches.append((f"{namespace}/{name}", patch))

    async def delete(self, model: type[Object], name: str, namespace: str, **options: Any) -> None:
        assert options["uid"]
        await self.hold_deletions.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.deletions.append(f"{namespace}/{name}")


class FakeRecorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def event(self, obj: Object, type: str, reason: str, message: str, **_: object) -> None:
        self.events.append((obj.name, reason, message))


class Bench:
    """A scheduler whose informers are fed by the test."""

    def __init__(
        self,
        clock: Clock | None = None,
        specs: list[PluginSpec] | None = None,
        profiles: list[Profile] | None = None,
    ) -> None:
        self.rest, self.recorder, self.clock = FakeRest(), FakeRecorder(), clock or Clock()
        informers = Informers(self.rest)  # type: ignore[arg-type]
        profiles = profiles or [Profile(DEFAULT_NAME, specs or collect_plugins())]
        recorders = {profile.name: self.recorder for profile in profiles}
        configuration = Configuration(profiles)
        self.scheduler = Scheduler(informers, recorders, self.clock, configuration)  # type: ignore[arg-type]
        self._pods = informers.of(Pod, field_selector=UNFINISHED_PODS)
        self._nodes = informers.of(Node)

    def put(self, obj: Node | Pod) -> None:
        if isinstance(obj, Node):
            self._nodes.apply("MODIFIED", obj)
        else:
            self._pods.apply("MODIFIED", obj)

    def remove(self, obj: Node | Pod) -> None:
        if isinstance(obj, Node):
            self._nodes.apply("DELETED", obj)
        else:
            self._pods.apply("DELETED", obj)

    def bound(self, item: Pod, name: str) -> Pod:
        """The watch shows the pod on the node."""
        new = item.clone()
        new.spec.nodeName = name
        self.put(new)
        return new

    async def until(self, condition: Callable[[], object]) -> None:
        await eventually_async(condition)


Started = Callable[..., Bench]
"""Makes a bench whose scheduler runs until the test ends."""
