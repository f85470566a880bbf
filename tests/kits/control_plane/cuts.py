"""Kills a controller manager at its n-th write, for tests that try every n: what it leaves has to be gone on from.

The controllers run in this process against a real API server. The write is done, its answer never comes, and nothing
that the manager still tries is sent; then another one starts. Events are kept, not written, as they change nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import orjson

from controller_manager.options import NAME, parse
from kubeclient.access.config import ClientConfig
from kubeclient.controller import ControllerSpec
from kubeclient.manager import run_controllers
from kubeclient.rest import RestClient
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually_async
from tests.kits.process import TOKEN

Detour = Callable[[str, str], Awaitable[bytes] | None]
"""Answers (method, path) of a request in place of the API server; None lets it go there."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a user does, and what has to come of it before the next step."""

    act: Callable[[], object]
    outcome: Callable[[], object]
    what: str


@dataclass
class Story:
    """A user's steps, and the controllers that have to make them true."""

    specs: Sequence[ControllerSpec[Any]]
    steps: Sequence[Step]
    detour: Detour = lambda method, path: None
    world: AbstractContextManager[object] = field(default_factory=nullcontext)
    """What there is, beside the API server, while the story is played."""
    meanwhile: Callable[[], object] = lambda: None
    """What the user does while no manager lives."""
    flags: Sequence[str] = ()
    """Of the manager's command line."""
    events: list[str] = field(default_factory=list)
    """The reasons of the events that the managers told."""


class MortalClient(RestClient):
    """A client whose owner dies by its write with the number `last_write`."""

    def __init__(self, api: ApiServer, story: Story, last_write: float) -> None:
        super().__init__(ClientConfig(server=api.url, token=TOKEN, insecure=True), user_agent="mortal")
        self.died = asyncio.Event()
        self._story = story
        self._left = last_write

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        if method in ("POST", "PATCH") and (path.endswith("/events") or "/events/" in path):
            event = orjson.loads(options["body"])
            self._story.events.append(event.get("reason", ""))
            return orjson.dumps(event)
        if self.died.is_set():
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling(), f"{method} {path} by a manager that was told to end"
            await asyncio.Future()
        answer = self._story.detour(method, path)
        result = await answer if answer is not None else await super().request(method, path, **options)
        if method != "GET":
            self._left -= 1
            if self._left <= 0:
                self.died.set()
                await asyncio.Future()
        return result


async def play(api: ApiServer, story: Story, last_write: float = math.inf) -> bool:
    """Plays a story with one death in it; False when it was over before. Raises: AssertionError, managers' errors."""
    async with MortalClient(api, story, last_write) as mortal, MortalClient(api, story, math.inf) as heir:
        with story.world:
            async with asyncio.TaskGroup() as group:
                managers = group.create_task(_live_and_inherit(story, mortal, heir))
                for step in story.steps:
                    await asyncio.to_thread(step.act)
                    await eventually_async(lambda step=step: asyncio.to_thread(step.outcome), step.what)  # type: ignore[misc]
                managers.cancel()
    return mortal.died.is_set()


async def _live_and_inherit(story: Story, mortal: MortalClient, heir: MortalClient) -> None:
    specs = list(story.specs)
    options = parse(specs, list(story.flags))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(run_controllers(NAME, specs, mortal, options))
        await mortal.died.wait()
        first.cancel()
    await asyncio.to_thread(story.meanwhile)
    await run_controllers(NAME, specs, heir, options)


async def play_every_cut(api: ApiServer, story_of: Callable[[int], Story]) -> int:
    """Plays the story with its death at the first write, the second and so on, until there is none; how many it had.

    `story_of` makes a story of its own for each number.
    """
    number = 1
    while await play(api, story_of(number), number):
        number += 1
    return number - 1
