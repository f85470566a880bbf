"""The paths that are not resources, as FastAPI routes behind the pipeline: health, version, metrics, discovery."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request as WebRequest
from starlette.responses import Response as WebResponse

from apimachinery.errors import StatusError
from apimachinery.times import format_time
from apiserver.discovery.discovery import Discovery
from apiserver.discovery.openapi.serving import Documents, add_routes
from apiserver.http import negotiation
from apiserver.http.rendering import rendered
from apiserver.main import health
from apiserver.pipeline.metrics import RequestMetrics
from apiserver.pipeline.routes import not_allowed, not_served
from componentbase import metrics
from componentbase.flags import version
from componentbase.health import Check

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's name of a machine where it is not the kernel's."""
JSON = "application/json"


def version_info() -> dict[str, str]:
    """/version"""
    number, machine = version(), platform.machine()
    major, minor = number.lstrip("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": number,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": format_time(Path(__file__).stat().st_mtime),
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"{platform.system().lower()}/{ARCHITECTURES.get(machine, machine)}",
    }


def make_web(
    discovery: Discovery,
    documents: Documents,
    requests: RequestMetrics,
    checks: dict[str, dict[str, Check]],
) -> FastAPI:
    web = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    _add_errors(web)
    health.add_routes(web, checks)
    _add_discovery(web, discovery)
    add_routes(web, documents)

    @web.get("/version")
    @web.get("/version/")
    async def get_version() -> WebResponse:
        return _indented(version_info())

    @web.get("/metrics")
    async def get_metrics() -> WebResponse:
        return WebResponse(metrics.render() + requests.render(), media_type=metrics.CONTENT_TYPE)

    @web.get("/")
    async def get_paths() -> WebResponse:
        fixed = {"/metrics", "/openapi/v2", "/openapi/v3", "/version"}
        probes = {f"/{probe}" for probe in checks} | {f"/{probe}/{name}" for probe in checks for name in checks[probe]}
        return _indented({"paths": sorted(fixed | probes | set(discovery.paths()))})

    return web


def _add_errors(web: FastAPI) -> None:
    async def on_status(request: WebRequest, error: Any) -> WebResponse:
        return _json(error.to_status(), error.code)

    async def on_http(request: WebRequest, error: Any) -> WebResponse:
        status: StatusError = not_allowed() if error.status_code == 405 else not_served()
        if error.status_code not in (404, 405):
            status = StatusError(str(error.detail), code=error.status_code, reason="BadRequest")
        return _json(status.to_status(), status.code)

    web.add_exception_handler(StatusError, on_status)
    web.add_exception_handler(HTTPException, on_http)


def _add_discovery(web: FastAPI, discovery: Discovery) -> None:
    @web.get("/api")
    @web.get("/api/")
    async def core(request: WebRequest) -> WebResponse:
        return await _listing(request, discovery, "api", discovery.core_versions)

    @web.get("/apis")
    @web.get("/apis/")
    async def groups(request: WebRequest) -> WebResponse:
        await discovery.settle()
        return await _listing(request, discovery, "apis", discovery.group_list)

    @web.get("/apis/{group}")
    @web.get("/apis/{group}/")
    async def group(request: WebRequest, group: str) -> WebResponse:
        await discovery.settle()
        return await _shown_or_404(request, discovery.group(group))

    @web.get("/api/{version}")
    @web.get("/api/{version}/")
    async def core_resources(request: WebRequest, version: str) -> WebResponse:
        return await _shown_or_404(request, discovery.resource_list("", version))

    @web.get("/apis/{group}/{version}")
    @web.get("/apis/{group}/{version}/")
    async def resources(request: WebRequest, group: str, version: str) -> WebResponse:
        await discovery.settle()
        return await _shown_or_404(request, discovery.resource_list(group, version))


async def _listing(
    request: WebRequest, discovery: Discovery, name: str, plain: Callable[[], dict[str, Any]]
) -> WebResponse:
    wanted = negotiation.discovery_version(_header(request, "accept"))
    if not wanted:
        return await _shown(request, plain())
    etag = f'"{discovery.etag(name, wanted)}"'
    headers = {"etag": etag, "vary": "Accept"}
    if request.headers.get("if-none-match") == etag:
        return WebResponse(status_code=304, headers=headers)
    media_type = f"application/json;g=apidiscovery.k8s.io;v={wanted};as=APIGroupDiscoveryList"
    return WebResponse(discovery.aggregated(name, wanted), media_type=media_type, headers=headers)


def _json(value: object, code: int = 200) -> WebResponse:
    return WebResponse(orjson.dumps(value), code, media_type=JSON)


def _indented(value: object) -> WebResponse:
    return WebResponse(orjson.dumps(value, option=orjson.OPT_INDENT_2), media_type=JSON)


async def _shown(request: WebRequest, value: object) -> WebResponse:
    """In the form that the client accepts. Raises: NotAcceptable."""
    accepted, body = negotiation.negotiate(_header(request, "accept")), orjson.dumps(value)
    representation = negotiation.for_reader(
        accepted, _header(request, "user-agent"), request.query_params.get("pretty", "")
    )
    media_type = JSON
    if representation.pretty or representation.format != "json":
        body, kind = await rendered(body, representation)
        media_type = kind.decode()
    return WebResponse(body, media_type=media_type, headers={"vary": "Accept"})


async def _shown_or_404(request: WebRequest, value: object | None) -> WebResponse:
    if value is None:
        raise not_served()
    return await _shown(request, value)


def _header(request: WebRequest, name: str) -> bytes:
    return request.headers.get(name, "").encode("latin-1")
