"""A container engine's HTTP API on its unix socket, as far as the launcher needs it: images in and out, containers."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote

from mini_cluster.errors import LauncherError

ENGINE_SECONDS = 300.0  # an image of some gigabytes takes its time
CHUNK_BYTES = 1 << 20
HOST_SOCKET = Path("/var/run/docker.sock")


class SupportsWrite(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...


class EngineError(LauncherError):
    """The engine can't be reached or refused; the message says how."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ENGINE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ENGINE_SECONDS)
        self.sock.connect(str(self._path))


class Engine:
    """The engine that listens on `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, archive: IO[bytes]) -> list[str]:
        """Loads a `docker save` archive; the loaded names and ids as the engine words them. Raises: EngineError."""
        chunks = iter(lambda: archive.read(CHUNK_BYTES), b"")
        body = self._request("POST", "/images/load?quiet=1", chunks)
        messages = [json.loads(line) for line in body.splitlines() if line.strip()]
        for message in messages:
            if "error" in message:
                raise EngineError(str(message["error"]))
        return [str(message["stream"]).strip() for message in messages if "stream" in message]

    def save(self, image: str, target: SupportsWrite) -> None:
        """Writes the image's archive to `target`. Raises: EngineError, also when there is no such image."""
        connection = _UnixConnection(self._path)
        try:
            connection.request("GET", f"/images/{quote(image, safe='/:@')}/get")
            response = connection.getresponse()
            if response.status >= 400:
                raise EngineError(f"{image}: {_message(response.read())}")
            while chunk := response.read(CHUNK_BYTES):
                target.write(chunk)
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"cannot talk to the engine at {self._path}: {error}") from None
        finally:
            connection.close()

    def containers(self, label: str = "") -> list[dict[str, Any]]:
        """Running containers, those with `label` ("key=value") when given. Raises: EngineError."""
        filters = quote(json.dumps({"label": [label]} if label else {}))
        found: list[dict[str, Any]] = json.loads(self._request("GET", f"/containers/json?filters={filters}"))
        return found

    def kill(self, container: str) -> None:
        """Sends SIGKILL to the container. Raises: EngineError."""
        self._request("POST", f"/containers/{container}/kill")

    def _request(self, method: str, path: str, body: Iterator[bytes] | None = None) -> bytes:
        connection = _UnixConnection(self._path)
        try:
            headers = {"Content-Type": "application/x-tar"} if body is not None else {}
            connection.request(method, path, body=body, headers=headers, encode_chunked=body is not None)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"cannot talk to the engine at {self._path}: {error}") from None
        finally:
            connection.close()
        if response.status >= 400:
            raise EngineError(_message(answer))
        return answer


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]
