"""/healthz, /livez and /readyz: whether the server is well, all of it or one check.

Source: Kubernetes documentation, "Kubernetes API health endpoints".
"""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from apiserver.pipeline.routes import not_served
from componentbase.health import TEXT, Check, run_checks


def add_routes(web: FastAPI, checks: dict[str, dict[str, Check]]) -> None:
    """`checks`: probe ("healthz", "livez", "readyz") -> name -> check."""

    async def probe(request: Request) -> Response:
        name = request.url.path.strip("/")
        return answer(name, checks[name], request.query_params.getlist("exclude"), verbose=_verbose(request))

    async def one(request: Request, check: str) -> Response:
        name = request.url.path.split("/")[1]
        if check not in checks[name]:
            raise not_served()
        return answer(name, {check: checks[name][check]}, (), verbose=_verbose(request))

    for name in checks:
        web.api_route(f"/{name}", methods=["GET", "HEAD"])(probe)
        web.api_route(f"/{name}/", methods=["GET", "HEAD"], include_in_schema=False)(probe)
        web.api_route(f"/{name}/{{check:path}}", methods=["GET", "HEAD"])(one)


def _verbose(request: Request) -> bool:
    return "verbose" in request.query_params


def answer(name: str, checks: dict[str, Check], excluded: Collection[str], *, verbose: bool) -> Response:
    status, text = run_checks(name, checks, excluded, verbose=verbose)
    return Response(text, status, media_type=TEXT)
