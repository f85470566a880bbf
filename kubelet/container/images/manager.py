"""Makes a container's image present before it starts: pull policies, who may use it, back-off, events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from apimachinery.meta import Object
from apimachinery.text.durations import format_duration
from apimachinery.text.image_reference import Reference, parse_reference
from componentbase import logs
from componentbase.clock import Clock
from kubelet.container.backoff import INITIAL_SECONDS, MAX_SECONDS, KeyedBackoff
from kubelet.container.events import Events
from kubelet.container.images.credentials import Credential
from kubelet.container.images.pull_limits import PullLimits
from kubelet.container.images.pull_records import PullRecords
from kubelet.runtime.interface import EngineError, ImageInfo, ImagePullError, Runtime, RuntimeUnavailable

REMEMBERED_FAILURES = 1024  # (pod, image) pairs; the one that failed longest ago is forgotten and may be pulled at once

PULL_FAILURES = ("ErrImagePull", "RegistryUnavailable")
"""Reasons of a pull that was just tried; the next try is a back-off."""

log = logs.logger(__name__)


class ImageUnavailable(Exception):
    """The container cannot start for want of its image: the reason and message of its `waiting` state.

    `reason`: one of PULL_FAILURES, ImagePullBackOff, ErrImageNeverPull, InvalidImageName, ImageInspectError.
    `retry_seconds`: when it is worth trying again.
    """

    def __init__(self, reason: str, message: str, retry_seconds: float) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.retry_seconds = retry_seconds


async def no_credentials(reference: Reference) -> Sequence[Credential]:
    """Returns none, for pods without any."""
    return ()


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The image that one container needs. Events are about `pod`; `credentials` finds those for the image."""

    pod: Object
    pod_uid: str
    image: str
    pull_policy: str = "IfNotPresent"
    credentials: Callable[[Reference], Awaitable[Sequence[Credential]]] = no_credentials
    field_path: str = ""  # of the container, e.g. "spec.containers{app}"


class ImageManager:
    """One per kubelet."""

    def __init__(
        self, runtime: Runtime, events: Events, clock: Clock, limits: PullLimits, records: PullRecords
    ) -> None:
        self._runtime = runtime
        self._events = events
        self._clock = clock
        self._limits = limits
        self._records = records
        self._backoff = KeyedBackoff()
        self._failures: dict[str, tuple[float, str]] = {}  # monotonic time and text of the last one

    async def ensure(self, request: ImageRequest) -> ImageInfo:
        """Returns the image, pulled if its policy says so, or if the pod must show that it may use it.

        Raises: ImageUnavailable; RuntimeUnavailable.
        """
        try:
            reference = _parse(request.image)
        except ValueError as error:
            message = (
                f'Failed to apply default image tag "{request.image}": '
                f'couldn\'t parse image name "{request.image}": {error}'
            )
            raise self._refuse(request, "InspectFailed", "InvalidImageName", message, MAX_SECONDS) from None
        if request.pull_policy != "Always":
            present = await self._inspect(request, reference)
            if present is not None and await self._may_use(request, reference, present):
                message = f'Container image "{request.image}" already present on machine and can be accessed by the pod'
                self._record(request, "Normal", "Pulled", message)
                return present
        if request.pull_policy == "Never":
            # The same words for an image that the pod may not use: it doesn't learn that it is here.
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

    async def _may_use(self, request: ImageRequest, reference: Reference | str, image: ImageInfo) -> bool:
        if isinstance(reference, str) or not self._records.needs_credentials(reference, image):
            return True
        return self._records.allows(reference, image, await request.credentials(reference))

    async def _pull(self, request: ImageRequest, reference: Reference | str) -> ImageInfo:
        key = f"{request.pod_uid}_{request.image}"
        failed_at, cause = self._failures.get(key, (0.0, ""))
        remaining = self._backoff.remaining(key, failed_at, self._clock.monotonic())
        if remaining > 0:
            message = f'Back-off pulling image "{request.image}"'
            self._record(request, "Normal", "BackOff", message)
            self._record(request, "Warning", "Failed", "Error: ImagePullBackOff")
            raise ImageUnavailable("ImagePullBackOff", f"{message}: {cause}", remaining)
        self._record(request, "Normal", "Pulling", f'Pulling image "{request.image}"')
        requested_at = self._clock.monotonic()
        try:
            if isinstance(reference, str):
                raise ImagePullError(f'"{reference}" is an image id: it cannot be pulled')
            async with self._limits.turn():
                started = self._clock.monotonic()
                image = await self._recorded_pull(request, reference)
        except ImagePullError as error:
            raise self._pull_failure(request, key, error) from None
        ended = self._clock.monotonic()
        self._record(
            request,
            "Normal",
            "Pulled",
            f'Successfully pulled image "{request.image}" in {format_duration(ended - started)} '
            f"({format_duration(ended - requested_at)} including waiting). Image size: {image.size_bytes} bytes.",
        )
        return image

    async def _recorded_pull(self, request: ImageRequest, reference: Reference) -> ImageInfo:
        """Leaves a record of what was pulled with what.

        Where it isn't known how the pull ended (this process was killed, the runtime is gone), the intent stays.
        Raises: ImagePullError; RuntimeUnavailable.
        """
        try:
            self._records.begin(request.image)
            try:
                image, credential = await self._pull_with_credentials(request, reference)
            except ImagePullError:
                self._records.end(request.image)
                raise
            self._records.pulled(reference, image, credential)
            self._records.end(request.image, succeeded=True)
            recorded = self._records.images()
            self._records.prune(recorded - {image.id for image in await self._runtime.images()})
        except OSError as error:
            raise ImagePullError(f'Failed to record the pull of container image "{request.image}": {error}') from None
        return image

    async def _pull_with_credentials(
        self, request: ImageRequest, reference: Reference
    ) -> tuple[ImageInfo, Credential | None]:
        """Tries each matching credential, and returns the one that opened; without any, the pull is anonymous.

        Raises: ImagePullError; RuntimeUnavailable.
        """
        errors: dict[str, ImagePullError] = {}
        for credential in await request.credentials(reference) or (None,):
            try:
                self._limits.count()
                auth = credential.auth if credential else None
                return await self._runtime.pull_image(str(reference), auth), credential
            except ImagePullError as error:
                errors.setdefault(str(error), error)
        first = next(iter(errors.values()))
        raise first if len(errors) == 1 else ImagePullError(f"[{', '.join(errors)}]")

    def _pull_failure(self, request: ImageRequest, key: str, error: ImagePullError) -> ImageUnavailable:
        reason, message = "ErrImagePull", str(error)
        text = f'Failed to pull image "{request.image}": {error}'
        if error.registry_unavailable:
            reason = "RegistryUnavailable"
            message = f"image pull failed for {request.image} because the registry is unavailable: {error}"
            text = f'Failed to pull image "{request.image}": {reason}: {error}'
        delay = self._note_failure(key, f"{reason}: {message}")
        log.info("image pull failed", image=request.image, error=str(error), retry_seconds=delay)
        self._record(request, "Warning", "Failed", text)
        self._record(request, "Warning", "Failed", f"Error: {reason}")
        return ImageUnavailable(reason, message, delay)

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
