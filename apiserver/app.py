"""The whole API as one FastAPI application, for any ASGI server and for tests without a socket.

`kube-apiserver` itself gives the pipeline to a server of our own: that way has neither ASGI's messages nor its routing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.websockets import WebSocket

from apiserver.http.asgi import serve_asgi
from apiserver.http.types import Receive, Scope, Send
from apiserver.main.server import ApiServer
from apiserver.options.options import Options
from apiserver.proxy.upgrade import NO_SWITCH

RESOURCE_PATHS = ("/api/{version}/{path:path}", "/apis/{group}/{version}/{path:path}")
POLICY_VIOLATION = 1008  # WebSocket's code for a request that the server does not take


def create_app(options: Options) -> FastAPI:
    """An API server that runs as long as the application's lifespan: resources, watches, discovery, OpenAPI, health.

    A request is identified by its bearer token, or by the client certificate of the `tls` extension where the ASGI
    server has it. What needs another protocol on the connection (exec, attach, port-forward) gets a 501.
    Raises, in its lifespan: FatalError for what the options name and is not there.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server = ApiServer(options)
        async with server.running():
            app.state.api_server = server
            try:
                yield
            finally:
                await server.stop()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    entry: Any = _Entry(app)
    for path in RESOURCE_PATHS:
        app.add_route(path, entry, name="resources")
    app.mount("/", entry, name="everything else")
    return app


class _Entry:
    """The pipeline as the end of every route: it finds the way from there, to a kind's handler or a FastAPI route."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(POLICY_VIOLATION, NO_SWITCH)
            return
        server: ApiServer | None = getattr(self._app.state, "api_server", None)
        if server is None:
            raise RuntimeError("the application's lifespan has not begun: an ASGI server starts it, httpx does not")
        await serve_asgi(server.pipeline, scope, receive, send)
