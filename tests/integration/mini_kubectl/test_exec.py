"""`exec` on a terminal and on pipes, against a server that speaks Kubernetes' WebSocket protocol as a script has it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.kits.client.commandline import MINI_KUBECTL
from tests.kits.eventually import eventually

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5, V4 = Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")

POD_TYPE = {
    "resource": "pods", "scope": "Namespaced", "singularResource": "pod", "verbs": ["get", "list"],
    "responseKind": {"group": "", "version": "v1", "kind": "Pod"},
}  # fmt: skip
ANSWERS = {
    "/api": {
        "kind": "APIGroupDiscoveryList",
        "items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [POD_TYPE]}]}],
    },
    "/api/v1/namespaces/default/pods/web": {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "app"}, {"name": "other"}]},
        "status": {"phase": "Running"},
    },
}

Script = Callable[[ServerConnection], None]


class FakeServer:
    """`query` is what the last exec asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.query: list[tuple[str, str]] = []


@contextmanager
def server(script: Script, *protocols: Subprotocol) -> Iterator[FakeServer]:
    fake = FakeServer()

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if parts.path.endswith("/exec"):
            fake.query = parse_qsl(parts.query)
            return None
        body = json.dumps(ANSWERS[parts.path]).encode()
        headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
        return Response(HTTPStatus.OK, "OK", headers, body)

    with serve(script, "127.0.0.1", 0, process_request=answer, subprotocols=protocols or (V5,)) as running:
        fake.url = f"http://127.0.0.1:{running.socket.getsockname()[1]}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield fake


def end(connection: ServerConnection, code: int = 0) -> None:
    status: dict[str, object] = {"status": "Success"}
    if code:
        causes = [{"reason": "ExitCode", "message": str(code)}]
        status = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
    connection.send(bytes([ERROR]) + json.dumps(status).encode())


def run(fake: FakeServer, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [MINI_KUBECTL, "-s", fake.url, "exec", *words]
    environment = {**os.environ, "KUBECONFIG": "/nonexistent"}
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def echo(connection: ServerConnection) -> None:
    """Upper case, until standard input ends."""
    for frame in connection:
        assert isinstance(frame, bytes)
        if frame[0] == CLOSE:
            assert frame == bytes([CLOSE, STDIN])
            break
        if frame[0] == STDIN:
            connection.send(bytes([STDOUT]) + frame[1:].upper())
    end(connection)


def test_standard_input_goes_through_to_its_end() -> None:
    with server(echo) as fake:
        done = run(fake, "-i", "web", "-c", "other", "--", "cat", "-n", stdin="hello\n" * 20_000)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "HELLO\n" * 20_000
    assert fake.query == [
        ("command", "cat"), ("command", "-n"), ("container", "other"), ("stdout", "true"), ("stdin", "true"),
        ("stderr", "true"),
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", [V5, V4])
def test_exit_codes_and_standard_error_come_back(protocol: Subprotocol) -> None:
    def fail(connection: ServerConnection) -> None:
        connection.send(bytes([STDOUT]) + b"out")
        connection.send(bytes([STDERR]) + b"oops\n")
        end(connection, 42)

    with server(fail, protocol) as fake:
        done = run(fake, "web", "--", "false")
    assert (done.returncode, done.stdout) == (42, "out")
    assert done.stderr == ('Defaulted container "app" out of: app, other\noops\ncommand terminated with exit code 42\n')


def test_a_connection_that_is_lost_is_an_error() -> None:
    def vanish(connection: ServerConnection) -> None:
        connection.send(bytes([STDOUT]) + b"half")
        connection.socket.close()

    with server(vanish) as fake:
        done = run(fake, "web", "-q", "--", "true")
    assert (done.returncode, done.stdout) == (1, "half")
    assert "the connection to the container was lost" in done.stderr


def test_a_terminal_is_asked_for_only_where_there_is_one() -> None:
    with server(echo) as fake:
        done = run(fake, "-it", "web", "-c", "app", "--", "cat", stdin="x")
    assert done.stdout == "X"
    assert done.stderr == "Unable to use a TTY - input is not a terminal or the right kind of file\n"
    assert ("tty", "true") not in fake.query


class Terminal:
    """A pseudo terminal with a program on it."""

    def __init__(self, *command: str) -> None:
        self.ours, theirs = pty.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        environment = {**os.environ, "KUBECONFIG": "/nonexistent"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.shown = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.ours, 4096)
            except OSError:
                return  # closed
            self.shown += data

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.ours, text)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


def test_a_terminal_is_raw_tells_its_size_and_is_restored(tmp_path: Path) -> None:
    sizes: list[dict[str, int]] = []
    typed: list[bytes] = []

    def shell(connection: ServerConnection) -> None:
        connection.send(bytes([STDOUT]) + b"$ ")
        for frame in connection:
            assert isinstance(frame, bytes)
            if frame[0] == RESIZE:
                sizes.append(json.loads(frame[1:]))
            elif frame[0] == STDIN:
                typed.append(frame[1:])
                if b"\x04" in frame:
                    break
        end(connection, 3)

    with server(shell) as fake:
        terminal = Terminal(MINI_KUBECTL, "-s", fake.url, "exec", "-it", "web", "-c", "app", "--", "sh")
        try:
            eventually(lambda: terminal.shown.endswith(b"$ "), "the prompt")
            eventually(lambda: sizes == [{"Width": 80, "Height": 24}], "the size")
            terminal.resize(50, 132)
            eventually(lambda: sizes[-1] == {"Width": 132, "Height": 50}, "the new size")
            terminal.type(b"ls\r\x03")  # neither does the line wait for its end, nor does ^C end kubectl
            eventually(lambda: b"".join(typed) == b"ls\r\x03", "the keys")
            assert b"ls" not in terminal.shown, "the remote side echoes, not the local terminal"
            terminal.type(b"\x04")
            assert terminal.process.wait(30) == 3
            assert termios.tcgetattr(terminal.theirs) == terminal.before
            assert ("tty", "true") in fake.query
            assert ("stderr", "true") not in fake.query
        finally:
            terminal.close()
