"""Cuts a kubelet short at its n-th call to the runtime, the API or its volumes, for tests that try every n."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kubelet.runtime.interface import RuntimeUnavailable
from tests.kits.node.kubeletbench import Bench

Fault = Literal["killed", "power", "engine"]
"""The kubelet is killed; its host loses its power and comes back; the container engine is restarted."""

RUNTIME_CALLS = (
    "create_sandbox", "stop_sandbox", "remove_sandbox", "create_container", "start_container", "stop_container",
    "update_container", "remove_container", "exec_sync", "pull_image", "create_memory_volume", "remove_memory_volume",
)  # fmt: skip
ENGINE_AWAY_SECONDS = 5
SETTLE_SECONDS = 3
"""In which the kubelet has to notice what happened, and to tell the API."""


@dataclass
class Cut:
    """Counts the calls of a bench's kubelet; the one with number `at` is its last, with or without its effect."""

    bench: Bench
    fault: Fault
    at: int
    with_effect: bool
    calls: int = 0
    call: str = ""
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    _restore: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._arm()

    def _arm(self) -> None:
        for name in RUNTIME_CALLS:
            self._wrap(self.bench.runtime, name)
        self._wrap(self.bench.api, "patch")
        self._wrap(self.bench.api, "delete")
        self._wrap(self.bench.volumes, "set_up")

    def _wrap(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        async def counted(*args: Any, **more: Any) -> Any:
            self.calls += 1
            if self.calls != self.at:
                return await original(*args, **more)
            self.call = name
            if self.with_effect:
                await original(*args, **more)
            self.hit.set()
            if self.fault == "engine" and owner is self.bench.runtime:
                raise RuntimeUnavailable("the engine is being restarted")
            if self.fault == "engine":
                raise ConnectionError("cut")
            return await asyncio.Future()

        setattr(owner, name, counted)
        self._restore.append(lambda: setattr(owner, name, original))

    async def recover(self) -> None:
        """Brings back what was cut."""
        self.hit.clear()
        for restore in self._restore:
            restore()
        if self.fault == "engine":
            self.bench.runtime.available = False
            self.bench.runtime.break_events()
            await self.bench.clock.advance(ENGINE_AWAY_SECONDS)
            self.bench.runtime.available = True
            await self.bench.clock.advance(SETTLE_SECONDS)
            return
        await self.bench.kill()
        if self.fault == "power":
            power_cycle(self.bench)
        self.bench.start()
        await self.bench.clock.advance(SETTLE_SECONDS)


def power_cycle(bench: Bench) -> None:
    """Every process of the host has ended; what is on its disk stays."""
    for container in bench.runtime.containers.values():
        if container.status.state == "running":
            bench.runtime.exit(container.status.id, 137)
    for sandbox_id, (status, config) in bench.runtime.sandboxes.items():
        bench.runtime.sandboxes[sandbox_id] = (replace(status, ready=False, ips=()), config)


def watch_for_duplicates(bench: Bench) -> None:
    """Fails when a second instance of a container, or a second sandbox of a pod, is started beside the first."""
    start, create = bench.runtime.start_container, bench.runtime.create_sandbox

    async def started(container_id: str) -> None:
        await start(container_id)
        running = [item.status for item in bench.runtime.containers.values() if item.status.state == "running"]
        most = Counter((status.pod.uid, status.name) for status in running).most_common(1)
        assert not most or most[0][1] == 1, f"two instances of a container run: {most}"

    async def created(config: Any) -> Any:
        status = await create(config)
        ready = Counter(item.pod.uid for item, _ in bench.runtime.sandboxes.values() if item.ready)
        assert max(ready.values()) == 1, f"two sandboxes of a pod are ready: {ready}"
        return status

    bench.runtime.start_container = started  # type: ignore[method-assign]
    bench.runtime.create_sandbox = created  # type: ignore[method-assign]
