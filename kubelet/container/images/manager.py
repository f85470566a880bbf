"""Makes a container's image present before it starts: pull policies, credentials, back-off, events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apimachinery.image_reference import Reference, parse_reference
from apimachinery.meta import Object
from componentbase import logs
from componentbase.clock import Clock
from kubelet.container.backoff import INITIAL_SECONDS, MAX_SECONDS, KeyedBackoff
from kubelet.container.events import Events
from kubelet.container.images.credentials import matching_credentials
from kubelet.runtime.interface import EngineError, ImageInfo, ImagePullError, RegistryAuth, Runtime, RuntimeUnavailable

REMEMBERED_FAILURES = 1024  # (pod, image) pairs; the one that failed longest ago is forgotten and may be pulled at once
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


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The image that one container needs. Events are about `pod`; `credentials` come from `secret_credentials`."""

    pod: Object
    pod_uid: str
    image: str
    pull_policy: str = "IfNotPresent"
    credentials: Sequence[Mapping[str, RegistryAuth]] = ()
    field_path: str = ""  # of the container, e.g. "spec.containers{app}"


class ImageManager:
    """One per kubelet."""

    def __init__(
        self, runtime: Runtime, events: Events, clock: Clock, *, max_parallel_pulls: int = MAX_PARALLEL_PULLS
    ) -> None:
        self._runtime = runtime
        self._events = events
        self._clock = clock
        self._backoff = KeyedBackoff()
        self._failures: dict[str, tuple[float, str]] = {}  # monotonic time and text of the last one
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
            raise self._refuse(request, "InspectFailed", "InvalidImageName", message, MAX_SECONDS) from None
        present = await self._inspect(request, reference)
        if present is not None and request.pull_policy != "Always":
            message = f'Container image "{request.image}" already present on machine'
            self._record(request, "Normal", "Pulled", message)
            return present
        if request.pull_policy == "Never":
            message = f'Container image "{request.image}" is not present with pull policy of Never'
            raise self._refuse(request, "ErrImageNeverPull", "ErrImageNeverPull", message, MAX_SECONDS)
        return await self._pull(request, reference)

    async def _inspect(self, request: ImageRequest, reference: Reference | str) -> ImageInfo | None:
        try:
            return await self._runtime.image_status(str(reference))
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            message = f'Failed to inspect image "{request.image}": {error}'
            raise self._refuse(request, "InspectFailed", "ImageInspectError", message, INITIAL_SECONDS) from None

    async def _pull(self, request: ImageRequest, reference: Reference | str) -> ImageInfo:
        key = f"{request.pod_uid}_{request.image}"
        failed_at, cause = self._failures.get(key, (0.0, ""))
        remaining = self._backoff.remaining(key, failed_at, self._clock.monotonic())
        if remaining > 0:
            message = f'Back-off pulling image "{request.image}"'
            self._record(request, "Normal", "BackOff", message)
            self._record(request, "Warning", "Failed", "Error: ImagePullBackOff")
            raise ImageUnavailable("ImagePullBackOff", f"{message}: ErrImagePull: {cause}", remaining)
        self._record(request, "Normal", "Pulling", f'Pulling image "{request.image}"')
        requested_at = self._clock.monotonic()
        try:
            async with self._pulling:
                started = self._clock.monotonic()
                image = await self._pull_with_credentials(request, reference)
        except ImagePullError as error:
            delay = self._note_failure(key, str(error))
            message = f'Failed to pull image "{request.image}": {error}'
            log.info("image pull failed", image=request.image, error=str(error), retry_seconds=delay)
            self._record(request, "Warning", "Failed", message)
            self._record(request, "Warning", "Failed", "Error: ErrImagePull")
            raise ImageUnavailable("ErrImagePull", str(error), delay) from None
        ended = self._clock.monotonic()
        self._record(
            request,
            "Normal",
            "Pulled",
            f'Successfully pulled image "{request.image}" in {_duration(ended - started)} '
            f"({_duration(ended - requested_at)} including waiting). Image size: {image.size_bytes} bytes.",
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

    def _note_failure(self, key: str, message: str) -> float:
        """Remembers the failure; returns the seconds until the next attempt."""
        now = self._clock.monotonic()
        self._failures.pop(key, None)
        self._failures[key] = (now, message)
        if len(self._failures) > REMEMBERED_FAILURES:
            oldest = next(iter(self._failures))
            del self._failures[oldest]
            self._backoff.forget(oldest)
        return self._backoff.advance(key, now)

    def _record(self, request: ImageRequest, type: str, reason: str, message: str) -> None:
        self._events.event(request.pod, type, reason, message, field_path=request.field_path)

    def _refuse(
        self, request: ImageRequest, event: str, reason: str, message: str, retry_seconds: float
    ) -> ImageUnavailable:
        """Tells the user by events, as upstream does, what the container's state will say too."""
        self._record(request, "Warning", event, message)
        self._record(request, "Warning", "Failed", f"Error: {reason}")
        return ImageUnavailable(reason, message, retry_seconds)


def _parse(image: str) -> Reference | str:
    """An image id stays text."""
    return image if image.startswith("sha256:") else parse_reference(image)


def _duration(seconds: float) -> str:
    """Formats as Go prints a duration rounded to milliseconds: 340ms, 1.2s, 1m3.5s."""
    millis = round(seconds * 1000)
    if millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{text}" if minutes else text
