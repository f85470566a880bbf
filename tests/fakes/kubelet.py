"""A kubelet's HTTPS server for tests of the API server: logs a test writes line by line, exec that echoes."""

from __future__ import annotations

import base64
import hashlib
import queue
import socket
import ssl
import threading
from pathlib import Path

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class FakeKubelet:
    """`with FakeKubelet(cert, key, ca) as kubelet`. Every request line it gets is in `requests`.

    Log answers stream what `lines` yields until None. After an upgrade every byte comes back as it is.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.requests: queue.Queue[str] = queue.Queue()
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.refusal = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> FakeKubelet:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        try:
            with self._context.wrap_socket(raw, server_side=True) as connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = connection.recv(4096)
                    if not data:
                        return
                    head += data
                head, _, rest = head.partition(b"\r\n\r\n")
                line, *headers = head.split(b"\r\n")
                named = {name.lower(): value.strip() for name, _, value in (item.partition(b":") for item in headers)}
                self.requests.put(line.decode().split()[1])
                if self.refusal:
                    connection.sendall(self.refusal)
                elif b"upgrade" in named:
                    self._echo(connection, named, rest)
                else:
                    self._stream(connection)
        except OSError:
            return

    def _stream(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
        while (line := self.lines.get()) is not None:
            connection.sendall(b"%x\r\n%b\r\n" % (len(line), line))
        connection.sendall(b"0\r\n\r\n")

    def _echo(self, connection: ssl.SSLSocket, headers: dict[bytes, bytes], early: bytes) -> None:
        accept = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + _GUID).digest())
        protocol = headers.get(b"sec-websocket-protocol", b"").split(b",")[0]
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: %b\r\nsec-websocket-protocol: %b\r\n\r\n" % (accept, protocol)
        )
        if early:
            connection.sendall(early)
        while data := connection.recv(65536):
            connection.sendall(data)
