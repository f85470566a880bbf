"""API priority and fairness of one server, as its flags say."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from apimachinery.catalogue import Catalogue
from apiserver.flowcontrol.control import FlowControl
from apiserver.flowcontrol.debug import dump_priority_levels, dump_queues, dump_requests
from apiserver.options.options import Options
from apiserver.storage import CachedStorage

DEBUG_PATH = "/debug/api_priority_and_fairness"


def make_flow_control(options: Options, catalogue: Catalogue, storage: CachedStorage) -> FlowControl | None:
    """None where it is turned off."""
    if not options.enable_priority_and_fairness:
        return None
    stored = {}
    for kind in catalogue:
        read = kind.view.of if kind.view is not None else kind
        if read.stored:
            stored[(kind.group, kind.plural)] = read

    def count(group: str, plural: str) -> int:
        kind = stored.get((group, plural))
        return storage.count(kind) if kind is not None else 0

    total = options.max_requests_inflight + options.max_mutating_requests_inflight
    return FlowControl(total, options.request_timeout_seconds, count)


def add_debug_routes(web: FastAPI, control: FlowControl) -> None:
    @web.get(f"{DEBUG_PATH}/dump_priority_levels")
    async def levels() -> PlainTextResponse:
        return PlainTextResponse(dump_priority_levels(control))

    @web.get(f"{DEBUG_PATH}/dump_queues")
    async def queues() -> PlainTextResponse:
        return PlainTextResponse(dump_queues(control))

    @web.get(f"{DEBUG_PATH}/dump_requests")
    async def requests(request: Request) -> PlainTextResponse:
        details = "includeRequestDetails" in request.query_params
        return PlainTextResponse(dump_requests(control, asyncio.get_running_loop().time(), details=details))
