"""The order in which the Docker runtime speaks to its engine, without an engine."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError

from kubelet.runtime.configs import PodRef, SandboxConfig
from kubelet.runtime.docker import names
from kubelet.runtime.docker.bodies import Host
from kubelet.runtime.docker.runtime import DockerRuntime

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
        networks = {"bridge": {"IPAddress": "10.244.1.2"}}
        return [
            {"Id": ID, "State": self._state, "Created": 1, "Labels": labels, "NetworkSettings": {"Networks": networks}}
        ]


async def test_two_creations_of_one_sandbox_are_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = DockerRuntime(f"unix://{tmp_path / 'none.sock'}")
    engine = SlowEngine()
    monkeypatch.setattr(runtime, "_sdk", engine)
    monkeypatch.setattr(runtime, "_host", Host())
    first, second = await asyncio.gather(runtime.create_sandbox(CONFIG), runtime.create_sandbox(CONFIG))
    assert first.id == second.id == ID
    assert engine.requests == 2
    await runtime.close()
