"""Images of the engine: what is there, pulling, loading and removing."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import docker
from docker import auth as docker_auth

from apimachinery.text.image_reference import parse_reference, short_name
from componentbase import logs
from kubelet.runtime.docker.client import EngineClient
from kubelet.runtime.docker.parsing import Json, image_info
from kubelet.runtime.interface import (
    EngineError,
    EngineNotFound,
    ImageInfo,
    ImagePullError,
    RegistryAuth,
    RuntimeUnavailable,
)

STALLED_SECONDS = 300.0  # without any progress, a pull has failed: others wait for their turn
PROGRESS_EVERY_SECONDS = 10.0  # in the log

_UNAVAILABLE = re.compile(r"received unexpected HTTP status: 50[234]\b")

log = logs.logger(__name__)


class PullProgress:
    """The bytes of the layers of a pull, by what the engine tells of each."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}  # (bytes that have come, bytes in all)

    def take(self, line: Json) -> None:
        """Takes a message of the engine's; a layer that is here already, or complete, has nothing left to come."""
        layer, status = line.get("id"), line.get("status")
        detail = line.get("progressDetail") or {}
        if layer and status == "Downloading" and "total" in detail:
            self._layers[layer] = (int(detail.get("current", 0)), int(detail["total"]))
        elif layer in self._layers and status in ("Download complete", "Pull complete"):
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)

    def __str__(self) -> str:
        come, total = (sum(layer[side] for layer in self._layers.values()) for side in (0, 1))
        return f"{come} of {total} bytes of {len(self._layers)} layers"


class Images:
    """The part of `interface.Runtime` that manages images."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    async def images(self) -> Sequence[ImageInfo]:
        return [image_info(item) for item in await self._client.call(self._client.sdk.images)]

    async def image_status(self, reference: str) -> ImageInfo | None:
        try:
            return image_info(await self._client.call(self._client.sdk.inspect_image, short_name(reference)))
        except EngineNotFound:
            return None

    async def pull_image(self, reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        parsed = parse_reference(reference)
        params = {"fromImage": short_name(parsed.repository), "tag": parsed.digest or parsed.tag}  # a digest wins
        headers = {"X-Registry-Auth": _auth_header(auth)} if auth else {}
        try:
            lines = await self._client.documents("POST", "/images/create", params=params, headers=headers)
            await _follow_pull(reference, lines)
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            message = f'failed to pull image "{reference}": {error}'
            raise ImagePullError(message, registry_unavailable=bool(_UNAVAILABLE.search(str(error)))) from None
        image = await self.image_status(reference)
        if image is None:
            raise ImagePullError(f'image "{reference}" is gone right after it was pulled')
        return image

    async def remove_image(self, image_id: str) -> None:
        """Removes tag by tag: an image with several cannot be removed by its id alone, and force spares no users."""
        image = await self.image_status(image_id)
        if image is None:
            return
        for name in image.tags or image.digests or (image.id,):
            with contextlib.suppress(EngineNotFound):
                await self._client.call(self._client.sdk.remove_image, short_name(name))

    async def save_image(self, image_id: str, path: str) -> None:
        stream = await self._client.open("GET", f"/images/{image_id}/get")
        try:
            with await asyncio.to_thread(open, path, "wb") as file:
                async for data in stream.chunks():
                    await asyncio.to_thread(file.write, data)
        finally:
            await stream.close()

    async def load_image(self, archive: bytes) -> None:
        await self._client.call(_load, self._client.sdk, archive)


async def _follow_pull(reference: str, lines: AsyncIterator[Json]) -> None:
    """Reads what the engine says until the pull is over. Raises: EngineError."""
    loop, progress = asyncio.get_running_loop(), PullProgress()
    told = loop.time()
    try:
        async with asyncio.timeout(STALLED_SECONDS) as stalled:
            async for line in lines:
                if line.get("error"):
                    raise EngineError(str(line["error"]))
                progress.take(line)
                now = loop.time()
                stalled.reschedule(now + STALLED_SECONDS)
                if now - told >= PROGRESS_EVERY_SECONDS:
                    told = now
                    log.info("pulling image", image=reference, progress=str(progress))
    except TimeoutError:
        raise EngineError(f"no progress for {STALLED_SECONDS:g} s, after {progress}") from None


def _load(sdk: docker.APIClient, archive: bytes) -> None:
    """The engine reports a bad archive inside its answer."""
    for line in sdk.load_image(archive) or ():  # type: ignore[no-untyped-call]
        if "error" in line:
            raise EngineError(str(line["error"]))


def _auth_header(auth: RegistryAuth) -> str:
    fields = {
        "username": auth.username,
        "password": auth.password,
        "identitytoken": auth.identity_token,
        "serveraddress": auth.server,
    }
    header: Any = docker_auth.encode_header({key: value for key, value in fields.items() if value})
    return header.decode() if isinstance(header, bytes) else str(header)
