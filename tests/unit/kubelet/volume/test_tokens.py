"""Tokens of service accounts in projected volumes: asked for once, renewed in time, kept while there is no new one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from apimachinery.errors import Forbidden, StatusError
from apimachinery.times import format_time
from componentbase.clock import Clock
from kubelet.container.downward import NodeFacts
from kubelet.volume.manager import VolumeFailure, VolumeManager
from kubelet.volume.tokens import RENEW_SHARE, TokenManager
from tests.fakes.runtime import FakeRuntime
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import Objects, make_pod

START = 1_000_000.0


class SetClock(Clock):
    time = START

    def now(self) -> float:
        return self.time


class Api:
    """Answers requests for tokens with "token-1", "token-2" … of the asked life, or fails."""

    def __init__(self, clock: SetClock) -> None:
        self.clock = clock
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.error: Exception | None = None

    async def request(self, method: str, path: str, *, body: bytes) -> bytes:
        if self.error is not None:
            raise self.error
        spec = json.loads(body)["spec"]
        self.asked.append((path, spec))
        expires = format_time(self.clock.now() + spec["expirationSeconds"])
        return json.dumps({"status": {"token": f"token-{len(self.asked)}", "expirationTimestamp": expires}}).encode()


class World:
    def __init__(self) -> None:
        self.clock = SetClock()
        self.api = Api(self.clock)
        self.due: list[str] = []
        self.tokens = TokenManager(self.api, self.due.append, self.clock)  # type: ignore[arg-type]


async def test_a_token_is_bound_to_its_pod_and_asked_for_once() -> None:
    world = World()
    pod = make_pod({"serviceAccountName": "robot"})
    for _ in range(2):
        assert await world.tokens.token(pod, "vault", 600) == "token-1"
    assert await world.tokens.token(pod, "", 3607) == "token-2"
    bound = {"kind": "Pod", "apiVersion": "v1", "name": pod.name, "uid": pod.metadata.uid}
    path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
    assert world.api.asked == [
        (path, {"audiences": ["vault"], "expirationSeconds": 600, "boundObjectRef": bound}),
        (path, {"expirationSeconds": 3607, "boundObjectRef": bound}),
    ]
    world.tokens.forget(pod.metadata.uid or "")


async def test_a_token_is_renewed_before_it_ends() -> None:
    world = World()
    pod = make_pod({})
    await world.tokens.token(pod, "", 600)
    world.clock.time = START + RENEW_SHARE * 600 - 11
    assert await world.tokens.token(pod, "", 600) == "token-1"
    world.clock.time = START + RENEW_SHARE * 600
    assert await world.tokens.token(pod, "", 600) == "token-2"
    world.tokens.forget(pod.metadata.uid or "")
    assert await world.tokens.token(pod, "", 600) == "token-3"


async def test_the_pod_is_woken_when_its_token_is_due() -> None:
    world = World()
    pod = make_pod({})
    await world.tokens.token(pod, "", 1)  # due at once
    await eventually_async(lambda: world.due)
    assert world.due == [pod.metadata.uid]


async def test_the_old_token_serves_while_there_is_no_new_one() -> None:
    world = World()
    pod = make_pod({})
    await world.tokens.token(pod, "", 600)
    world.api.error = OSError("connection refused")
    world.clock.time = START + 599
    assert await world.tokens.token(pod, "", 600) == "token-1"
    world.clock.time = START + 601
    with pytest.raises(OSError, match="refused"):
        await world.tokens.token(pod, "", 600)
    world.tokens.forget(pod.metadata.uid or "")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: needs root")
@pytest.mark.parametrize(
    ("pod_context", "own_user", "shown"),
    [
        ({}, None, (0o644, 0, 0)),
        ({"runAsUser": 1000}, None, (0o600, 1000, 0)),
        ({"runAsUser": 1000}, 1001, (0o600, 1001, 0)),
        ({"fsGroup": 2000}, None, (0o640, 0, 2000)),
        ({"runAsUser": 1000, "fsGroup": 2000}, None, (0o640, 1000, 2000)),
    ],
)
async def test_a_token_is_for_those_who_run_the_pod(
    tmp_path: Path, pod_context: dict[str, int], own_user: int | None, shown: tuple[int, int, int]
) -> None:
    manager = VolumeManager(str(tmp_path), Objects(), FakeRuntime(), World().tokens)
    source = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
    containers = [{"name": "app", "image": "i", "securityContext": {"runAsUser": own_user}}]
    spec = {"volumes": [{"name": "v", "projected": source}], "securityContext": pod_context, "containers": containers}
    pod = make_pod(spec)
    mounted = (await manager.set_up(pod, NodeFacts("worker-1", (), {})))["v"]
    status = (Path(mounted.path) / "token").stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == shown
    manager.forget(pod.metadata.uid or "")


async def test_a_projected_volume_shows_the_token(tmp_path: Path) -> None:
    world = World()
    manager = VolumeManager(str(tmp_path), Objects(), FakeRuntime(), world.tokens)
    source = {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}]}
    pod = make_pod({"volumes": [{"name": "v", "projected": source}]})
    facts = NodeFacts("worker-1", ("192.168.0.5",), {})
    assert manager.has_live(pod)
    for second, text in ((0, "token-1"), (500, "token-2")):
        world.clock.time = START + second
        mounted = (await manager.set_up(pod, facts))["v"]
        assert (Path(mounted.path) / "token").read_text() == text
    manager.forget(pod.metadata.uid or "")
    error: StatusError = Forbidden("not today")
    world.api.error = error
    with pytest.raises(VolumeFailure, match="failed to fetch token: not today"):
        await manager.set_up(pod, facts)
