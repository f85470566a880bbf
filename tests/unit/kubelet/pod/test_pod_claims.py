"""When in a pod's life its claims are prepared and given back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from kubeapi.core.pod.model import Pod
from kubelet.dra.claims import ClaimManager, ClaimsError
from tests.kits.eventually import eventually_async
from tests.kits.node.kubeletbench import Bench, kubelet_bench

SPEC = {"resourceClaims": [{"name": "r", "resourceClaimName": "c"}], "restartPolicy": "Never"}


class Claims:
    """`said` is what was done in which state of the pod; it fails for `reason`."""

    def __init__(self) -> None:
        self.bench: Bench | None = None
        self.reason = ""
        self.said: list[tuple[str, bool, str]] = []

    def _note(self, what: str) -> None:
        assert self.bench is not None
        if not self.reason:
            self.said.append((what, self.bench.running(), self.bench.api.get().status.phase or ""))
        else:
            raise ClaimsError(self.reason)

    async def prepare(self, pod: Pod) -> None:
        self._note("prepare")

    async def unprepare(self, uid: str) -> None:
        self._note("unprepare")

    def devices(self, pod: Pod, container: object) -> list[object]:
        return []

    async def keep(self, uids: object) -> None: ...


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with kubelet_bench(tmp_path) as bench:
        await bench.kill()
        claims = Claims()
        claims.bench, bench.claims = bench, cast(ClaimManager, claims)
        bench.start()
        yield bench


def claims_of(bench: Bench) -> Claims:
    return cast(Claims, bench.claims)


async def test_before_the_start_and_before_the_end_is_told(bench: Bench) -> None:
    bench.add(SPEC)
    await eventually_async(bench.running)
    bench.runtime.exit(bench.runtime.find("uid-1", "app").status.id)
    await eventually_async(lambda: bench.api.get().status.phase == "Succeeded")
    assert [what for what, *_ in claims_of(bench).said] == ["prepare", "unprepare"]
    assert claims_of(bench).said[1][1:] == (False, "Running")


async def test_a_pod_waits_for_its_claims_and_for_giving_them_back(bench: Bench) -> None:
    claims = claims_of(bench)
    claims.reason = "DRA driver x is not registered"
    bench.add(SPEC)
    message = "Failed to prepare dynamic resources: DRA driver x is not registered"
    await eventually_async(lambda: ("FailedPrepareDynamicResources", message) in bench.events)
    assert bench.runtime.sandboxes == {}
    claims.reason = ""
    await bench.clock.advance(120)
    await eventually_async(bench.running)
    claims.reason = "busy"
    bench.api.ask_deletion()
    await bench.clock.advance(60)
    assert bench.api.get().metadata.deletionTimestamp
    claims.reason = ""
    await bench.clock.advance(120)
    await eventually_async(lambda: not bench.api.pods)
