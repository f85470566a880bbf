"""What a handler is given when routes are made."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any

import pytest

from apimachinery.catalogue import CatalogueError
from apiserver.handlers.api import Services, bind
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request, Response

NAMES: dict[str, Any] = {field.name: field.name for field in fields(Services)}
SERVICES = Services(**NAMES)


class FakeStore:
    resource = "pods"


STORE: Any = FakeStore()
REQUEST: Any = "request"


def test_a_handler_gets_the_services_that_it_names() -> None:
    async def handler(request: Request, store: Store[Any], *, kubelet: Any, clock: Any) -> Answer:
        return Response(f"{request} {store.resource} {kubelet} {clock}".encode())

    answer: Any = asyncio.run(bind(handler, STORE, SERVICES)(REQUEST))  # type: ignore[arg-type]
    assert answer.body == b"request pods kubelet clock"


def test_a_handler_that_names_an_unknown_service_ends_the_start() -> None:
    async def handler(request: Request, store: Store[Any], *, cubelet: Any) -> Answer:
        return Response(b"")

    with pytest.raises(CatalogueError, match="cubelet"):
        bind(handler, STORE, SERVICES)
