"""Removes dead containers and sandboxes that nobody needs any more, and unused images when the disk fills up.

Pods that are gone from the API are housekeeping's; here it is what living pods leave behind.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from apimachinery.image_reference import normalize
from componentbase import logs
from componentbase.clock import Clock
from kubelet.runtime.interface import EngineError, ImageInfo, PodRuntimeStatus, Runtime, RuntimeUnavailable

DEAD_PER_CONTAINER = 1  # kept for `logs --previous`
CONTAINERS_EVERY_SECONDS = 60.0
IMAGES_EVERY_SECONDS = 300.0
HIGH_PERCENT, LOW_PERCENT = 85, 80  # of the disk: where freeing begins, and where it ends
MIN_IMAGE_AGE_SECONDS = 120.0  # an image that was just pulled may be waiting for its container

log = logs.logger(__name__)


def dead_containers(pods: Iterable[PodRuntimeStatus]) -> list[str]:
    """Lists the ids of exited containers but the newest of each name."""
    ids: list[str] = []
    for pod in pods:
        for name in dict.fromkeys(container.name for container in pod.containers):
            over = [container for container in pod.attempts(name) if container.state == "exited"]
            ids += [container.id for container in over[DEAD_PER_CONTAINER:]]
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
    """The uses of all present images, by id."""
    in_use = {container.image_id for pod in pods for container in pod.containers}
    uses: dict[str, ImageUse] = {}
    for image in images:
        use = uses_before.get(image.id) or ImageUse(now)
        if not in_use.isdisjoint((image.id, *image.digests)):
            use = ImageUse(use.first_seen, now)
        uses[image.id] = use
    return uses


def removable_images(
    images: Iterable[ImageInfo], uses: Mapping[str, ImageUse], keep: Iterable[str], now: float
) -> list[ImageInfo]:
    """Unused and old enough, the longest unused first; `keep` are references that stay."""
    keep_names = {normalize(reference) for reference in keep}
    free = [
        image
        for image in images
        if uses[image.id].last_used < now
        and now - uses[image.id].first_seen >= MIN_IMAGE_AGE_SECONDS
        and keep_names.isdisjoint((image.id, *image.tags, *image.digests))
    ]
    return sorted(free, key=lambda image: (uses[image.id].last_used, uses[image.id].first_seen))


def bytes_to_free(total: int, used: int) -> int:
    """Returns the bytes to remove so that usage falls from over HIGH_PERCENT to LOW_PERCENT; 0 below that."""
    if total <= 0 or used * 100 < HIGH_PERCENT * total:
        return 0
    return used - total * LOW_PERCENT // 100


def disk_usage(path: str) -> tuple[int, int]:
    """Returns (total, used) bytes of the disk that holds `path`. Raises: OSError."""
    usage = shutil.disk_usage(path)
    return usage.total, usage.total - usage.free


class GarbageCollector:
    """`keep_images`: references never removed. `may_touch(uid)` is False for pods that another part is cleaning up."""

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        *,
        keep_images: Sequence[str],
        may_touch: Callable[[str], bool],
        disk: Callable[[str], tuple[int, int]] = disk_usage,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._keep_images = keep_images
        self._may_touch = may_touch
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
        pods = [pod for uid, pod in (await self._runtime.pods()).items() if self._may_touch(uid)]
        for container_id in dead_containers(pods):
            await self._runtime.remove_container(container_id)
        for sandbox_id in dead_sandboxes(pods):
            await self._runtime.remove_sandbox(sandbox_id)

    async def collect_images(self) -> None:
        """Raises: EngineError, also when nothing more can be removed; OSError when the disk cannot be seen."""
        now = self._clock.now()
        images, pods = await self._runtime.images(), await self._runtime.pods()
        self._uses = note_use(self._uses, images, pods.values(), now)
        total, used = await asyncio.to_thread(self._disk, (await self._runtime.info()).data_root)
        goal = bytes_to_free(total, used)
        freed = 0
        for image in removable_images(images, self._uses, self._keep_images, now):
            if freed >= goal:
                return
            try:
                await self._runtime.remove_image(image.id)
            except RuntimeUnavailable:
                raise
            except EngineError as error:
                log.info("image not removed", image=image.id, error=str(error))  # e.g. used by a foreign container
                continue
            log.info("image removed to free disk space", image=(image.tags or (image.id,))[0], bytes=image.size_bytes)
            freed += image.size_bytes
        if freed < goal:
            raise EngineError(f"wanted to free {goal} bytes, but freed {freed} bytes: no more images may be removed")
