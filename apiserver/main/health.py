"""/healthz, /livez and /readyz: whether the server is well, all of it or one check.

Source: Kubernetes documentation, "Kubernetes API health endpoints".
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from apiserver.pipeline.routes import not_served

Check = Callable[[], str]
"""Returns "" when well, else why not."""

TEXT = "text/plain; charset=utf-8"


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
    """ "ok", or a line for each check where that is asked for or one has failed."""
    lines, failed = [], False
    for check, run in checks.items():
        why = "" if check in excluded else run()
        if why:
            failed = True
            lines.append(f"[-]{check} failed: {why}")
        else:
            lines.append(f"[+]{check} excluded: ok" if check in excluded else f"[+]{check} ok")
    if not failed and not verbose:
        return Response("ok", media_type=TEXT)
    if unknown := [check for check in excluded if check not in checks]:
        names = ", ".join(f'"{check}"' for check in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
    lines.append(f"{name} check {'failed' if failed else 'passed'}")
    return Response("\n".join(lines) + "\n", 500 if failed else 200, media_type=TEXT)
