"""Removes dead containers and sandboxes that nobody needs any more, and unused images when the disk fills up.

Pods that are gone from the API are housekeeping's; here it is what living pods leave behind.
"""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from apimachinery.text.image_reference import normalize
from componentbase import logs
from componentbase.clock import Clock
from kubelet.runtime.interface import (
    ContainerStatus,
    EngineError,
    ImageInfo,
    PodRuntimeStatus,
    Runtime,
    RuntimeUnavailable,
)

CONTAINERS_EVERY_SECONDS = 60.0
IMAGES_EVERY_SECONDS = 300.0

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class GarbagePolicy:
    """Says what is kept, with upstream's defaults. `max_image_age_seconds` 0 and `max_dead_containers` -1: no limit."""

    high_percent: int = 85
    low_percent: int = 80
    """Percents of the disk in use: where freeing begins, and where it ends."""
    min_image_age_seconds: float = 120.0
    """An image that was just pulled may be waiting for its container."""
    max_image_age_seconds: float = 0.0
    dead_per_container: int = 1
    """Kept for `logs --previous`."""
    max_dead_containers: int = -1
    min_dead_age_seconds: float = 0.0


EVERYTHING = GarbagePolicy(dead_per_container=0)
"""Removes every dead container: the node is short of disk."""


def dead_containers(pods: Iterable[PodRuntimeStatus], policy: GarbagePolicy, now: float) -> list[str]:
    """Lists the ids of exited containers that need not be kept."""
    ids: list[str] = []
    kept: list[ContainerStatus] = []
    for pod in pods:
        for name in dict.fromkeys(container.name for container in pod.containers):
            over = [container for container in pod.attempts(name) if container.state == "exited"]
            old = [one for one in over if now - one.finished_at >= policy.min_dead_age_seconds]
            kept += [one for one in over[: policy.dead_per_container] if one in old]
            ids += [one.id for one in over[policy.dead_per_container :] if one in old]
    if policy.max_dead_containers >= 0:
        kept.sort(key=lambda one: one.finished_at, reverse=True)
        ids += [one.id for one in kept[policy.max_dead_containers :]]
    return ids


def dead_sandboxes(pods: Iterable[PodRuntimeStatus]) -> list[str]:
    """Lists the ids of sandboxes that do not run, have been replaced, and hold no container."""
    return [
        sandbox.id
        for pod in pods
        for sandbox in pod.sandboxes[1:]
        if not sandbox.ready and all(container.sandbox_id != sandbox.id for container in pod.containers)
    ]


@dataclass(slots=True)
class ImageUse:
    """The times at which an image was first seen here and last seen in use (0.0 = never), in unix seconds."""

    first_seen: float
    last_used: float = 0.0


def note_use(
    uses_before: Mapping[str, ImageUse], images: Iterable[ImageInfo], pods: Iterable[PodRuntimeStatus], now: float
) -> dict[str, ImageUse]:
    """Returns the uses of all present images, by id."""
    in_use = {container.image_id for pod in pods for container in pod.containers}
    uses: dict[str, ImageUse] = {}
    for image in images:
        use = uses_before.get(image.id) or ImageUse(now)
        if not in_use.isdisjoint((image.id, *image.digests)):
            use = ImageUse(use.first_seen, now)
        uses[image.id] = use
    return uses


def removable_images(
    images: Iterable[ImageInfo], uses: Mapping[str, ImageUse], keep: Iterable[str], now: float, min_age_seconds: float
) -> list[ImageInfo]:
    """Lists those that are unused and old enough, the longest unused first; `keep` are references that stay."""
    keep_names = {normalize(reference) for reference in keep}
    free = [
        image
        for image in images
        if uses[image.id].last_used < now
        and now - uses[image.id].first_seen >= min_age_seconds
        and keep_names.isdisjoint((image.id, *image.tags, *image.digests))
    ]
    return sorted(free, key=lambda image: (uses[image.id].last_used, uses[image.id].first_seen))


def bytes_to_free(total: int, used: int, policy: GarbagePolicy) -> int:
    """Returns the bytes to remove so that usage falls from over the high percent to the low one; 0 below that."""
    if total <= 0 or used * 100 < policy.high_percent * total:
        return 0
    return used - total * policy.low_percent // 100


def disk_usage(path: str) -> tuple[int, int]:
    """Returns (total, used) bytes of the disk that holds `path`. Raises: OSError."""
    usage = shutil.disk_usage(path)
    return usage.total, usage.total - usage.free


class GarbageCollector:
    """`keep_images`: references never removed. `may_touch(uid)` is False for pods that another part is cleaning up.

    `has_ended(uid)` tells of pods that keep their containers for their logs alone, until the disk is full.
    `report(reason, message)` tells the node's user what could not be done.
    """

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        *,
        keep_images: Sequence[str],
        may_touch: Callable[[str], bool],
        has_ended: Callable[[str], bool],
        report: Callable[[str, str], None],
        policy: GarbagePolicy = GarbagePolicy(),
        disk: Callable[[str], tuple[int, int]] = disk_usage,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._keep_images = keep_images
        self._may_touch = may_touch
        self._has_ended = has_ended
        self._report = report
        self._policy = policy
        self._disk = disk
        self._uses: dict[str, ImageUse] = {}

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self.collect_containers, CONTAINERS_EVERY_SECONDS))
            tasks.create_task(self._repeat(self.collect_images, IMAGES_EVERY_SECONDS))

    async def _repeat(self, collect: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            await self._clock.sleep(seconds)
            try:
                await collect()
            except (EngineError, OSError) as error:
                log.warning("garbage collection failed, will retry", error=str(error))

    async def collect_containers(self) -> None:
        """Raises: EngineError."""
        await self._remove_dead(self._policy, self._may_touch)

    async def remove_unused(self) -> None:
        """Frees all disk that no pod needs now: dead containers and unused images. Raises: EngineError."""
        await self._remove_dead(EVERYTHING, lambda uid: self._may_touch(uid) or self._has_ended(uid))
        await self._remove_images(await self._unused_images(0.0))

    async def _remove_dead(self, policy: GarbagePolicy, may_touch: Callable[[str], bool]) -> None:
        pods = [pod for uid, pod in (await self._runtime.pods()).items() if may_touch(uid)]
        for container_id in dead_containers(pods, policy, self._clock.now()):
            await self._runtime.remove_container(container_id)
        for sandbox_id in dead_sandboxes(pods):
            await self._runtime.remove_sandbox(sandbox_id)

    async def collect_images(self) -> None:
        """Raises: EngineError; OSError when the disk cannot be seen."""
        oldest = self._policy.max_image_age_seconds
        unused = await self._unused_images(self._policy.min_image_age_seconds)
        if oldest:
            now = self._clock.now()
            expired = [image for image in unused if now - self._idle_since(image) > oldest]
            await self._remove_images(expired)
            unused = [image for image in unused if image not in expired]
        total, used = await asyncio.to_thread(self._disk, (await self._runtime.info()).data_root)
        goal = bytes_to_free(total, used, self._policy)
        freed = await self._remove_images(unused, goal) if goal else 0
        if freed < goal:
            message = (
                f"Failed to garbage collect required amount of images. Attempted to free {goal} bytes, "
                f"but only found {freed} bytes eligible to free."
            )
            log.warning("images not freed as needed", wanted_bytes=goal, freed_bytes=freed)
            self._report("FreeDiskSpaceFailed", message)

    def _idle_since(self, image: ImageInfo) -> float:
        use = self._uses[image.id]
        return max(use.first_seen, use.last_used)

    async def _unused_images(self, min_age_seconds: float) -> list[ImageInfo]:
        now = self._clock.now()
        images, pods = await self._runtime.images(), await self._runtime.pods()
        self._uses = note_use(self._uses, images, pods.values(), now)
        return removable_images(images, self._uses, self._keep_images, now, min_age_seconds)

    async def _remove_images(self, images: Iterable[ImageInfo], goal: float = math.inf) -> int:
        """Removes images until so many bytes are free; returns the bytes freed. Raises: RuntimeUnavailable."""
        freed = 0
        for image in images:
            if freed >= goal:
                break
            try:
                await self._runtime.remove_image(image.id)
            except RuntimeUnavailable:
                raise
            except EngineError as error:
                log.info("image not removed", image=image.id, error=str(error))  # e.g. used by a foreign container
                continue
            log.info("image removed to free disk space", image=(image.tags or (image.id,))[0], bytes=image.size_bytes)
            freed += image.size_bytes
        return freed
