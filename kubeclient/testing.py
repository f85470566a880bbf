"""Tests controllers against a real API server: the fixtures `control_plane` and `namespace`, and these functions.

async def test_a_site_gets_a_deployment(control_plane, namespace):
    async with control_plane.rest() as rest, installed(rest, *definitions), running(rest, CONTROLLER):
        await rest.create(site)
        await eventually(lambda: rest.get(Deployment, "shop", namespace))
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from apimachinery.conditions import is_true
from apimachinery.errors import NotFound
from apimachinery.meta import Object
from apimachinery.resource import Resource
from componentbase.flags import Serving
from kubeapi.apiextensions.customresourcedefinition import CustomResourceDefinition
from kubeclient.controller import ControllerSpec
from kubeclient.discovery import resources_of
from kubeclient.leader import Election, Timing
from kubeclient.manager import ManagerOptions, run_controllers
from kubeclient.rest import RestClient

DEADLINE_SECONDS = 60.0
"""Long, since only a test that fails waits for it, and a busy machine must not make one fail."""
POLL_SECONDS = 0.02
FIELD_MANAGER = "tests"

T = TypeVar("T")


async def eventually(check: Callable[[], Awaitable[T]], what: str = "", seconds: float = DEADLINE_SECONDS) -> T:
    """Returns the first truthy answer of `check`, a function to await; NotFound means "not yet".

    Raises: AssertionError after `seconds`; what `check` raises besides.
    """
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            answer = await check()
        except NotFound as error:
            last = str(error)
        else:
            if answer:
                return answer
            last = repr(answer)
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError(f"not within {seconds:g} s: {what or check}: {last}")


@asynccontextmanager
async def running(rest: RestClient, *specs: ControllerSpec[Any], options: Any = None) -> AsyncIterator[None]:
    """Runs controllers in this process until the block is left. Raises there: what ended one of their loops."""
    options = options or ManagerOptions(
        kubeconfig="",
        serving=Serving("127.0.0.1", 0),
        election=Election(False, "", Timing()),
        controllers=["*"],
        workers={spec.name: spec.workers for spec in specs},
        use_service_account_credentials=False,
        log_file="",
        verbosity=0,
    )
    task = asyncio.ensure_future(run_controllers(FIELD_MANAGER, specs, rest, options))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def installed(rest: RestClient, *manifests: Mapping[str, Any]) -> AsyncIterator[None]:
    """Applies manifests, waits until their CustomResourceDefinitions are served, and at the end deletes all of them.

    Definitions are waited for at the end as well, as their objects go first. Raises: LookupError for an unknown kind.
    """
    applied: list[tuple[Resource[Object], Mapping[str, Any]]] = []
    try:
        for manifest in manifests:
            resource = await _resource(rest, manifest)
            await rest.apply(resource, dict(manifest), field_manager=FIELD_MANAGER, force=True)
            applied.append((resource, manifest["metadata"]))
            if resource.kind == "CustomResourceDefinition":
                await eventually(partial(_established, rest, manifest["metadata"]["name"]))
        yield
    finally:
        for resource, meta in reversed(applied):
            await _remove(rest, resource, meta["name"], meta.get("namespace", ""))


async def _resource(rest: RestClient, manifest: Mapping[str, Any]) -> Resource[Object]:
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    for resource in await resources_of(rest, group, version) or ():
        if resource.kind == manifest["kind"] and not resource.is_subresource:
            return resource.metadata_only()
    raise LookupError(f"the server has no {manifest['kind']} of {manifest['apiVersion']}")


async def _established(rest: RestClient, name: str) -> bool:
    return is_true((await rest.get(CustomResourceDefinition, name)).status.conditions, "Established")


async def _remove(rest: RestClient, resource: Resource[Object], name: str, namespace: str) -> None:
    with suppress(NotFound):
        await rest.delete(resource, name, namespace)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while resource.kind == "CustomResourceDefinition":  # until a read says NotFound
                await rest.get(resource, name)
                await asyncio.sleep(POLL_SECONDS)
