"""Makes a container's image present before it starts: pull policies, credentials, back-off, events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from apimachinery.model import Model
from componentbase import logs
from componentbase.clock import Clock
from kubelet.image_credentials import matching_credentials
from kubelet.image_reference import Reference, parse_reference
from kubelet.runtime.interface import EngineError, ImageInfo, ImagePullError, RegistryAuth, Runtime, RuntimeUnavailable

INITIAL_BACKOFF_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 300.0
BACKOFF_ENTRIES = 1024  # (pod, image) pairs remembered; the one that failed longest ago is forgotten
MAX_PARALLEL_PULLS = 3  # more wait their turn

log = logs.logger(__name__)


class ImageUnavailable(Exception):
    """The container cannot start for want of its image: the reason and message of its `waiting` state.

    `reason`: ErrImagePull | ImagePullBackOff | ErrImageNeverPull | InvalidImageName | ImageInspectError.
    `retry_seconds`: when it is worth trying again.
    """

    def __init__(self, reason: str, message: str, retry_seconds: float) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.retry_seconds = retry_seconds


class EventSink(Protocol):
    """Where events go: `kubeclient.recorder.EventRecorder` with the container's field path filled in."""

    def event(self, obj: Any, type: str, reason: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One container's wish. `pod` is what events are about; `credentials` come from `secret_credentials`."""

    pod: Model
    pod_uid: str
    image: str
    pull_policy: str = "IfNotPresent"
    credentials: Sequence[Mapping[str, RegistryAuth]] = ()


@dataclass(slots=True)
class _Failure:
    delay_seconds: float
    since: float  # monotonic
    message: str


class Backoff:
    """Per key: 10 s after the first failure, doubled each time up to 300 s, forgotten after twice the longest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, _Failure] = {}

    def failed(self, key: str, message: str) -> float:
        """Notes a failure; the seconds until the next attempt."""
        known = self._failures.pop(key, None)
        now = self._clock.monotonic()
        if known is None or now - known.since > 2 * MAX_BACKOFF_SECONDS:
            delay = INITIAL_BACKOFF_SECONDS
        else:
            delay = min(2 * known.delay_seconds, MAX_BACKOFF_SECONDS)
        self._failures[key] = _Failure(delay, now, message)
        if len(self._failures) > BACKOFF_ENTRIES:
            del self._failures[next(iter(self._failures))]
        return delay

    def remaining(self, key: str) -> tuple[float, str]:
        """(seconds left of the current back-off, what failed); 0.0 when there is none."""
        known = self._failures.get(key)
        if known is None:
            return 0.0, ""
        return max(known.since + known.delay_seconds - self._clock.monotonic(), 0.0), known.message


class ImageManager:
    """One per kubelet."""

    def __init__(
        self, runtime: Runtime, events: EventSink, clock: Clock, *, max_parallel_pulls: int = MAX_PARALLEL_PULLS
    ) -> None:
        self._runtime = runtime
        self._events = events
        self._clock = clock
        self._backoff = Backoff(clock)
        self._pulling = asyncio.Semaphore(max_parallel_pulls)

    async def ensure(self, request: ImageRequest) -> ImageInfo:
        """The image, pulled if its policy says so. Raises: ImageUnavailable; RuntimeUnavailable."""
        try:
            reference = _parse(request.image)
        except ValueError as error:
            message = (
                f'Failed to apply default image tag "{request.image}": '
                f'couldn\'t parse image name "{request.image}": {error}'
            )
            raise self._refuse(request, "InspectFailed", "InvalidImageName", message, MAX_BACKOFF_SECONDS) from None
        present = await self._inspect(request, reference)
        if present is not None and request.pull_policy != "Always":
            message = f'Container image "{request.image}" already present on machine'
            self._events.event(request.pod, "Normal", "Pulled", message)
            return present
        if request.pull_policy == "Never":
            message = f'Container image "{request.image}" is not present with pull policy of Never'
            raise self._refuse(request, "ErrImageNeverPull", "ErrImageNeverPull", message, MAX_BACKOFF_SECONDS)
        return await self._pull(request, reference)

    async def _inspect(self, request: ImageRequest, reference: Reference | str) -> ImageInfo | None:
        try:
            return await self._runtime.image_status(str(reference))
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            message = f'Failed to inspect image "{request.image}": {error}'
            raise self._refuse(
                request, "InspectFailed", "ImageInspectError", message, INITIAL_BACKOFF_SECONDS
            ) from None

    async def _pull(self, request: ImageRequest, reference: Reference | str) -> ImageInfo:
        key = f"{request.pod_uid}_{request.image}"
        remaining, cause = self._backoff.remaining(key)
        if remaining > 0:
            message = f'Back-off pulling image "{request.image}"'
            self._events.event(request.pod, "Normal", "BackOff", message)
            self._events.event(request.pod, "Warning", "Failed", "Error: ImagePullBackOff")
            raise ImageUnavailable("ImagePullBackOff", f"{message}: ErrImagePull: {cause}", remaining)
        self._events.event(request.pod, "Normal", "Pulling", f'Pulling image "{request.image}"')
        asked = self._clock.monotonic()
        try:
            async with self._pulling:
                started = self._clock.monotonic()
                image = await self._pull_with_credentials(request, reference)
        except ImagePullError as error:
            delay = self._backoff.failed(key, str(error))
            message = f'Failed to pull image "{request.image}": {error}'
            log.info("image pull failed", image=request.image, error=str(error), retry_seconds=delay)
            self._events.event(request.pod, "Warning", "Failed", message)
            self._events.event(request.pod, "Warning", "Failed", "Error: ErrImagePull")
            raise ImageUnavailable("ErrImagePull", str(error), delay) from None
        ended = self._clock.monotonic()
        self._events.event(
            request.pod,
            "Normal",
            "Pulled",
            f'Successfully pulled image "{request.image}" in {_duration(ended - started)} '
            f"({_duration(ended - asked)} including waiting). Image size: {image.size_bytes} bytes.",
        )
        return image

    async def _pull_with_credentials(self, request: ImageRequest, reference: Reference | str) -> ImageInfo:
        """Tries each matching credential; the last error counts. Without any, an anonymous pull."""
        if isinstance(reference, str):
            raise ImagePullError(f'"{reference}" is an image id: it cannot be pulled')
        error: ImagePullError | None = None
        for auth in matching_credentials(reference, request.credentials):
            try:
                return await self._runtime.pull_image(str(reference), auth)
            except ImagePullError as failure:
                error = failure
        if error is not None:
            raise error
        return await self._runtime.pull_image(str(reference))

    def _refuse(
        self, request: ImageRequest, event: str, reason: str, message: str, retry_seconds: float
    ) -> ImageUnavailable:
        """Tells the user by events, as upstream does, what the container's state will say too."""
        self._events.event(request.pod, "Warning", event, message)
        self._events.event(request.pod, "Warning", "Failed", f"Error: {reason}")
        return ImageUnavailable(reason, message, retry_seconds)


def _parse(image: str) -> Reference | str:
    """An image id stays text."""
    return image if image.startswith("sha256:") else parse_reference(image)


def _duration(seconds: float) -> str:
    """As Go prints a duration rounded to milliseconds: 340ms, 1.2s, 1m3.5s."""
    millis = round(seconds * 1000)
    if millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{text}" if minutes else text
