"""HTTP servers of tests, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer


class Quiet:
    """Is mixed into handlers, so that a test's output stays its own."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serve_in_thread(server: ThreadingHTTPServer) -> Iterator[None]:
    """Serves until the block is left, and closes the server."""
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
