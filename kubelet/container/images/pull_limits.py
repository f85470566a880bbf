"""Limits how many images are pulled at once, and how often registries are asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from componentbase.clock import Clock
from componentbase.ratelimit import TokenBucket
from kubelet.container.images.options import ImageOptions
from kubelet.runtime.interface import ImagePullError

MAX_PARALLEL_PULLS = 5  # without a limit by the user: each may hold one of the engine client's 8 threads for a while


class PullLimits:
    """One per kubelet."""

    def __init__(self, options: ImageOptions, clock: Clock) -> None:
        parallel = 1 if options.serialize_image_pulls else options.max_parallel_image_pulls or MAX_PARALLEL_PULLS
        self._turns = asyncio.Semaphore(min(parallel, MAX_PARALLEL_PULLS))
        self._clock = clock
        self._requests: TokenBucket | None = None
        if options.registry_qps:
            self._requests = TokenBucket(options.registry_qps, max(1, options.registry_burst), clock.monotonic())

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until another pull may begin; it is over when the block ends."""
        async with self._turns:
            yield

    def count(self) -> None:
        """Counts a request for an image. Raises: ImagePullError when there are too many a second."""
        if self._requests is not None and not self._requests.take(self._clock.monotonic()):
            raise ImagePullError("pull QPS exceeded")
