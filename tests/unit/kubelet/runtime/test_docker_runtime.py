"""The order in which the Docker runtime speaks to its engine, without an engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError

from kubelet.runtime.configs import PodRef, SandboxConfig
from kubelet.runtime.docker import names
from kubelet.runtime.docker.bodies import Host
from kubelet.runtime.docker.runtime import DockerRuntime
from kubelet.runtime.network import NetworkRequest


class Unplugged:
    """A network that gives every sandbox the same address."""

    def problem(self) -> str:
        return ""

    def set_ranges(self, cidrs: Sequence[str]) -> bool:
        return False

    async def follow(self) -> None: ...

    def addresses(self, sandbox_id: str) -> tuple[str, ...]:
        return ("10.244.1.2",)

    def attached(self) -> frozenset[str]:
        return frozenset()

    async def attach(self, request: NetworkRequest) -> tuple[str, ...]:
        return self.addresses(request.id)

    async def detach(self, sandbox_id: str) -> None: ...

    async def check(self, sandbox_ids: Collection[str]) -> None: ...


CONFIG = SandboxConfig(pod=PodRef("uid-1", "default", "web"))
ID = "c" * 64


class SlowEngine:
    """Reserves a name at once, as Docker does, and lists the container only when its creation is over."""

    def __init__(self) -> None:
        self.requests = 0
        self._second = threading.Event()
        self._state = ""

    def create_container_from_config(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        self.requests += 1
        if self.requests == 1:
            self._second.wait(0.3)  # the answer waits for the other request, if there is one
            self._state = "created"
            return {"Id": ID}
        response = requests.Response()
        response.status_code = 409
        try:
            raise APIError("409", response, f'The container name "/{name}" is already in use by container "{ID}".')
        finally:
            if not self._state and self.requests > 2:
                self._second.set()

    def start(self, container: str) -> None:
        self._state = "running"

    def remove_container(self, container: str, **_: Any) -> None:
        assert not self._state

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        if not self._state:
            return []
        labels = names.sandbox_labels(CONFIG)
        return [{"Id": ID, "State": self._state, "Created": 1, "Labels": labels}]

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"State": {"Pid": 0}}


async def test_two_creations_of_one_sandbox_are_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = DockerRuntime(f"unix://{tmp_path / 'none.sock'}", Unplugged())
    engine = SlowEngine()
    monkeypatch.setattr(runtime, "_sdk", engine)
    monkeypatch.setattr(runtime, "_host", Host())
    first, second = await asyncio.gather(runtime.create_sandbox(CONFIG), runtime.create_sandbox(CONFIG))
    assert first.id == second.id == ID
    assert engine.requests == 2
    await runtime.close()


class FullEngine:
    """Can't write down that containers have ended, as its disk is full, and goes on listing them as running."""

    def __init__(self) -> None:
        self.killed: set[str] = set()

    def kill(self, container: str, signal: str) -> None:
        self.killed.add(container)

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        labels = names.sandbox_labels(CONFIG)
        item = {"State": "running", "Created": 1, "ImageID": "sha256:1"}
        app = {names.TYPE: names.CONTAINER_TYPE, names.CONTAINER_NAME: "app"}
        return [item | {"Id": "pause", "Labels": labels}, item | {"Id": "app", "Labels": labels | app}]

    def inspect_container(self, container: str) -> dict[str, Any]:
        ended = container in self.killed
        state = {"Status": "exited" if ended else "running", "Running": not ended, "ExitCode": 137 if ended else 0}
        times = {"StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "2026-01-01T00:01:00Z"}
        return {"State": state | times, "Created": "2026-01-01T00:00:00Z", "Config": {}, "HostConfig": {}}


async def test_what_ends_by_itself_is_not_running_whatever_an_engine_with_a_full_disk_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def documents(*_: Any, **__: Any) -> AsyncIterator[Any]:
        async def read() -> AsyncIterator[Any]:
            for name, kind in (("app", "die"), ("pause", "die"), ("pause", "start")):
                engine.killed.add(name)
                labels = names.sandbox_labels(CONFIG)
                yield {"Type": "container", "Action": kind, "Actor": {"ID": name, "Attributes": labels}, "timeNano": 1}

        return read()

    async def no_image(_: str) -> None: ...

    runtime, engine = DockerRuntime(f"unix://{tmp_path / 'none.sock'}", Unplugged()), FullEngine()
    monkeypatch.setattr(runtime, "_sdk", engine)
    monkeypatch.setattr(runtime._client, "documents", documents)
    monkeypatch.setattr(runtime, "image_status", no_image)
    assert (await runtime.pods())["uid-1"].containers[0].state == "running"
    seen = []
    events = await runtime.events()
    for _ in range(3):
        await anext(events)
        pod = (await runtime.pods())["uid-1"]
        seen.append((pod.containers[0].state, pod.running))
    assert seen == [("exited", True), ("exited", False), ("exited", True)]
    await runtime.close()


async def test_what_has_ended_is_not_running_whatever_an_engine_with_a_full_disk_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: str) -> None: ...

    runtime = DockerRuntime(f"unix://{tmp_path / 'none.sock'}", Unplugged())
    monkeypatch.setattr(runtime, "_sdk", FullEngine())
    monkeypatch.setattr(runtime, "wait_container", at_once)
    monkeypatch.setattr(runtime, "image_status", at_once)
    assert (await runtime.pods())["uid-1"].running
    await runtime.stop_container("app", 30, "SIGTERM")
    pod = (await runtime.pods())["uid-1"]
    assert [(one.state, one.exit_code) for one in pod.containers] == [("exited", 137)]
    assert pod.running
    await runtime.stop_sandbox("pause")
    assert not (await runtime.pods())["uid-1"].running
    await runtime.close()
