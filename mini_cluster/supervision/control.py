"""The command line's way to the supervisor: one JSON request per connection on a Unix socket, JSON lines back.

Requests: {"op": "apply"} makes what runs agree with the state file and, unless "wait" is false, streams changes until
everything is ready; {"op": "restart", "names": [...]} ends and starts components, and streams likewise;
{"op": "stop"} ends everything but container engines; {"op": "start", "names": [...]} starts components, and streams;
{"op": "status"}; {"op": "version"}; {"op": "shutdown"}. The last line has "done" or "error".
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mini_cluster.errors import LauncherError

CONNECT_SECONDS = 2.0
LINE_BYTES = 1 << 20  # an answer's longest line


class ControlError(LauncherError):
    """The supervisor refused or failed; the message is its own."""


class NoSupervisor(ControlError):
    """Nothing listens on the supervisor's socket."""


def code_version() -> str:
    """Changes with the launcher's code: a supervisor of another version is replaced; the next one adopts what runs."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def call(path: Path, request: dict[str, Any], *, seconds: float) -> Iterator[dict[str, Any]]:
    """Yields the answer's lines as they come, without the closing one. `seconds` bounds the silence between them.

    Raises: NoSupervisor, ControlError.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_SECONDS)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoSupervisor("the cluster's supervisor is not running") from None
        connection.settimeout(seconds)
        answered = False
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            for line in connection.makefile("rb"):
                answered = True
                message: dict[str, Any] = json.loads(line)
                if "error" in message:
                    raise ControlError(str(message["error"]))
                if message.get("done"):
                    return
                yield message
        except TimeoutError:
            raise ControlError(f"the supervisor said nothing for {seconds:g} s") from None
        except (ConnectionResetError, BrokenPipeError):
            pass
        if not answered:
            raise NoSupervisor("the cluster's supervisor ended before it answered")
        raise ControlError("the supervisor ended before it had finished")
