"""A container engine's HTTP API on its Unix socket, as far as the launcher needs it: images in and out, containers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote

import httpx

from mini_cluster.errors import LauncherError

ENGINE_SECONDS = 300.0  # an image of some gigabytes takes its time
CHUNK_BYTES = 1 << 20
HOST_SOCKET = Path("/var/run/docker.sock")


class SupportsWrite(Protocol):
    """A file, or anything else that takes bytes."""

    def write(self, data: bytes, /) -> object: ...


class HostEngineError(LauncherError):
    """The engine can't be reached or refused; the message says how."""


class Engine:
    """The engine that listens on `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, archive: IO[bytes], sent: Callable[[int], None] | None = None) -> list[str]:
        """Loads a `docker save` archive; returns names and ids as the engine words them.

        `sent` is told how many bytes the engine has taken. Raises: HostEngineError.
        """

        def pieces() -> Iterator[bytes]:
            while chunk := archive.read(CHUNK_BYTES):
                yield chunk
                if sent:
                    sent(archive.tell())

        headers = {"Content-Type": "application/x-tar"}
        with self._request(
            "POST", "/images/load", params={"quiet": "1"}, content=pieces(), headers=headers
        ) as response:
            messages = [json.loads(line) for line in response.read().splitlines() if line.strip()]
        for message in messages:
            if "error" in message:
                raise HostEngineError(str(message["error"]))
        return [str(message["stream"]).strip() for message in messages if "stream" in message]

    def images(self) -> list[dict[str, Any]]:
        """Lists the images. Raises: HostEngineError."""
        images: list[dict[str, Any]] = self._read("/images/json")
        return images

    def image_id(self, image: str) -> str:
        """Raises: HostEngineError, also for an image that is missing."""
        return str(self._read(f"/images/{quote(image, safe='/:@')}/json")["Id"])

    def tag(self, image: str, name: str) -> None:
        """Gives the image one name more. Raises: HostEngineError."""
        repository, _, tag = name.rpartition(":")
        with self._request("POST", f"/images/{image}/tag", params={"repo": repository, "tag": tag}):
            pass

    def save(self, image: str, target: SupportsWrite) -> None:
        """Writes the image's archive to `target`. Raises: HostEngineError, also for an image that is missing."""
        with self._request("GET", f"/images/{quote(image, safe='/:@')}/get") as response:
            for chunk in response.iter_bytes(CHUNK_BYTES):
                target.write(chunk)

    def containers(self, label: str = "") -> list[dict[str, Any]]:
        """Returns the running containers, those with `label` ("key=value") when given. Raises: HostEngineError."""
        filters = json.dumps({"label": [label]} if label else {})
        containers: list[dict[str, Any]] = self._read("/containers/json", params={"filters": filters})
        return containers

    def kill(self, container: str) -> None:
        """Sends SIGKILL to the container. Raises: HostEngineError."""
        with self._request("POST", f"/containers/{container}/kill"):
            pass

    def _read(self, path: str, **options: Any) -> Any:
        """Returns the decoded answer. Raises: HostEngineError."""
        with self._request("GET", path, **options) as response:
            return json.loads(response.read())

    @contextmanager
    def _request(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """Yields the answer, its body not read yet. Raises: HostEngineError, also for every status from 400 on."""
        transport = httpx.HTTPTransport(uds=str(self._path))
        try:
            with (
                httpx.Client(transport=transport, base_url="http://engine", timeout=ENGINE_SECONDS) as client,
                client.stream(method, path, **options) as response,
            ):
                if response.status_code >= 400:
                    raise HostEngineError(f"{method} {path}: {_message(response.read())}")
                yield response
        except httpx.HTTPError as error:
            raise HostEngineError(f"cannot talk to the engine at {self._path}: {error}") from None


def host_engine_socket() -> Path:
    """Returns the socket of the machine's own engine: DOCKER_HOST when that is a Unix socket."""
    address = os.environ.get("DOCKER_HOST", "")
    return Path(address.removeprefix("unix://")) if address.startswith("unix://") else HOST_SOCKET


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]
