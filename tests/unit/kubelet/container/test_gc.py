"""What garbage collection removes, and what it must not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubelet.container.images.gc import (
    EVERYTHING,
    GarbageCollector,
    GarbagePolicy,
    ImageUse,
    bytes_to_free,
    dead_containers,
    dead_sandboxes,
    note_use,
    removable_images,
)
from kubelet.runtime.configs import ContainerConfig, PodRef, SandboxConfig
from kubelet.runtime.interface import ContainerState, ContainerStatus, ImageInfo, PodRuntimeStatus, SandboxStatus
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import FakeRuntime

REF = PodRef("u", "default", "web")


def container(name: str, attempt: int, state: ContainerState, sandbox: str = "s0", image: str = "i") -> ContainerStatus:
    identity = f"{name}-{attempt}"
    return ContainerStatus(identity, REF, name, "regular", attempt, state, "app", image, "", sandbox, float(attempt))


def sandbox(attempt: int, ready: bool) -> SandboxStatus:
    return SandboxStatus(f"s{attempt}", REF, attempt, ready, (), float(attempt))


def test_the_newest_dead_attempt_of_each_container_is_kept() -> None:
    pod = PodRuntimeStatus(
        REF,
        (sandbox(0, True),),
        (
            container("web", 3, "running"),
            container("web", 2, "exited"),
            container("web", 1, "exited"),
            container("web", 0, "exited"),
            container("side", 1, "created"),
            container("side", 0, "exited"),
            container("init", 0, "exited"),
        ),
    )
    assert dead_containers([pod], GarbagePolicy(), 100.0) == ["web-1", "web-0"]


def test_replaced_sandboxes_go_once_they_hold_no_container() -> None:
    newest = (sandbox(2, True), sandbox(1, False), sandbox(0, False))
    pod = PodRuntimeStatus(REF, newest, (container("web", 0, "exited", "s0"),))
    assert dead_sandboxes([pod]) == ["s1"]
    assert dead_sandboxes([PodRuntimeStatus(REF, (sandbox(0, False),))]) == []


@pytest.mark.parametrize(("used", "expected"), [(0, 0), (84, 0), (85, 5), (100, 20)])
def test_freeing_begins_at_85_percent_and_aims_at_80(used: int, expected: int) -> None:
    assert bytes_to_free(100, used, GarbagePolicy()) == expected


def test_an_unknown_disk_size_frees_nothing() -> None:
    assert bytes_to_free(0, 0, GarbagePolicy()) == 0


def test_unused_old_images_go_the_longest_unused_first() -> None:
    images = [ImageInfo(f"sha256:{name}", (f"docker.io/library/{name}:latest",)) for name in "abcde"]
    uses = {
        "sha256:a": ImageUse(100, 900),
        "sha256:b": ImageUse(100, 800),
        "sha256:c": ImageUse(100, 1000),
        "sha256:d": ImageUse(950),
        "sha256:e": ImageUse(100, 0),
    }
    names = [image.id for image in removable_images(images, uses, ["e"], 1000, 120)]
    assert names == ["sha256:b", "sha256:a"]  # c is in use, d too young, e is to be kept


def test_an_image_is_in_use_by_id_or_by_digest() -> None:
    digest = "docker.io/library/a@sha256:1"
    images = [ImageInfo("sha256:a", (), (digest,)), ImageInfo("sha256:b"), ImageInfo("sha256:c")]
    pod = PodRuntimeStatus(
        REF, (), (container("x", 0, "exited", image=digest), container("y", 0, "running", image="sha256:b"))
    )
    uses = note_use({"sha256:gone": ImageUse(1)}, images, [pod], now=50)
    assert {key: use.last_used for key, use in uses.items()} == {"sha256:a": 50, "sha256:b": 50, "sha256:c": 0}


DEFAULTS = GarbagePolicy()


class Bench:
    def __init__(self, used: int = 0, policy: GarbagePolicy = DEFAULTS) -> None:
        self.reports: list[tuple[str, str]] = []
        self.clock = FakeClock()
        self.runtime = FakeRuntime(now=self.clock.now)
        self.used = used
        self.touchable, self.ended = True, False
        self.collector = GarbageCollector(
            self.runtime,
            self.clock,
            keep_images=("pause:1",),
            may_touch=lambda uid: self.touchable,
            has_ended=lambda uid: self.ended,
            report=lambda reason, message: self.reports.append((reason, message)),
            policy=policy,
            disk=lambda path: (100, self.used),
        )


async def test_only_pods_in_hand_are_touched() -> None:
    bench = Bench()
    bench.runtime.add_image("app")
    sandbox_id = (await bench.runtime.create_sandbox(SandboxConfig(REF))).id
    for attempt in range(3):
        config = ContainerConfig(REF, "main", "app", "app", attempt=attempt)
        container_id = await bench.runtime.create_container(sandbox_id, config)
        await bench.runtime.start_container(container_id)
        bench.runtime.exit(container_id, 1)
        bench.clock.step(1)
    bench.touchable = False
    await bench.collector.collect_containers()
    assert len(bench.runtime.containers) == 3
    bench.touchable = True
    await bench.collector.collect_containers()
    assert [c.status.attempt for c in bench.runtime.containers.values()] == [2]


async def test_the_logs_of_a_pod_that_has_ended_go_when_the_disk_is_full() -> None:
    bench = Bench()
    bench.runtime.add_image("app")
    sandbox_id = (await bench.runtime.create_sandbox(SandboxConfig(REF))).id
    container_id = await bench.runtime.create_container(sandbox_id, ContainerConfig(REF, "main", "app", "app"))
    await bench.runtime.start_container(container_id)
    bench.runtime.exit(container_id, 1)
    bench.touchable = False
    await bench.collector.remove_unused()
    assert bench.runtime.containers
    bench.ended = True
    await bench.collector.collect_containers()
    assert bench.runtime.containers
    await bench.collector.remove_unused()
    assert not bench.runtime.containers


async def test_images_are_removed_until_enough_is_free_and_no_further() -> None:
    bench = Bench(used=90)
    for name in ("a", "b", "c"):
        bench.runtime.add_image(f"docker.io/library/{name}:latest", size_bytes=6)
    bench.runtime.add_image("docker.io/library/pause:1", size_bytes=6)
    await bench.collector.collect_images()  # all too young
    reason, message = bench.reports.pop()
    assert reason == "FreeDiskSpaceFailed"
    assert "Attempted to free 10 bytes, but only found 0 bytes eligible to free." in message
    bench.clock.step(200)
    await bench.collector.collect_images()
    left = [image.tags[0] for image in await bench.runtime.images()]
    assert left == ["docker.io/library/c:latest", "docker.io/library/pause:1"]


async def test_a_disk_with_room_keeps_all_images() -> None:
    bench = Bench(used=50)
    bench.runtime.add_image("docker.io/library/a:latest")
    await bench.collector.collect_images()
    bench.clock.step(1000)
    await bench.collector.collect_images()
    assert len(await bench.runtime.images()) == 1


def test_dead_containers_may_be_kept_by_age_and_by_number() -> None:
    ended = [replace(container("web", n, "exited"), finished_at=float(n)) for n in (3, 2, 1)]
    pod = PodRuntimeStatus(REF, (), (*ended, replace(container("other", 0, "exited"), finished_at=9.0)))
    assert dead_containers([pod], GarbagePolicy(min_dead_age_seconds=8), 10.0) == ["web-2", "web-1"]
    assert dead_containers([pod], GarbagePolicy(max_dead_containers=1), 10.0) == ["web-2", "web-1", "web-3"]
    assert dead_containers([pod], EVERYTHING, 10.0) == ["web-3", "web-2", "web-1", "other-0"]


async def test_an_image_unused_for_too_long_goes_whatever_room_there_is() -> None:
    bench = Bench(used=10, policy=GarbagePolicy(max_image_age_seconds=1000))
    bench.runtime.add_image("docker.io/library/a:latest")
    await bench.collector.collect_images()
    bench.clock.step(999)
    await bench.collector.collect_images()
    assert len(await bench.runtime.images()) == 1
    bench.clock.step(2)
    await bench.collector.collect_images()
    assert not await bench.runtime.images()


async def test_a_node_short_of_disk_keeps_nothing_unused() -> None:
    bench = Bench(used=10)
    bench.runtime.add_image("docker.io/library/a:latest")
    bench.runtime.add_image("docker.io/library/pause:1")
    await bench.collector.remove_unused()
    assert [image.tags[0] for image in await bench.runtime.images()] == ["docker.io/library/pause:1"]
