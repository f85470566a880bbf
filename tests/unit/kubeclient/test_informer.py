"""The cache: what handlers hear, and that a list after a gap tells the difference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apimachinery.errors import Expired, ServiceUnavailable
from apimachinery.meta import ObjectMeta
from kubeapi.core.configmap import ConfigMap
from kubeclient.informer import Informer
from kubeclient.rest import Listing, WatchEvent
from tests.fakes.clock import QuickClock
from tests.kits.eventually import eventually_async


def config_map(name: str, revision: int, uid: str = "", namespace: str = "default", **labels: str) -> ConfigMap:
    metadata = ObjectMeta(name=name, namespace=namespace, uid=uid or name, resourceVersion=str(revision))
    metadata.labels = labels or None
    return ConfigMap(metadata=metadata)


class Heard:
    """A handler that writes down what it hears: "+a", "~a", "-a"."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def __call__(self, old: ConfigMap | None, new: ConfigMap | None) -> None:
        sign = "+" if old is None else "-" if new is None else "~"
        obj = new or old
        assert obj is not None
        self.all.append(sign + obj.name)

    def take(self) -> list[str]:
        taken, self.all = self.all, []
        return taken


def idle_informer() -> tuple[Informer[ConfigMap], Heard]:
    informer: Informer[ConfigMap] = Informer(None, ConfigMap)  # type: ignore[arg-type]
    heard = Heard()
    informer.add_handler(heard)
    return informer, heard


def test_events_reach_the_cache_and_the_handlers_in_order() -> None:
    informer, heard = idle_informer()
    informer.apply("ADDED", config_map("a", 1))
    informer.apply("MODIFIED", config_map("a", 2))
    informer.apply("ADDED", config_map("b", 3))
    informer.apply("DELETED", config_map("a", 4))
    assert heard.take() == ["+a", "~a", "+b", "-a"]
    assert informer.get("default/a") is None
    assert [obj.name for obj in informer.list("default")] == ["b"]


def test_a_list_after_a_gap_tells_the_difference() -> None:
    informer, heard = idle_informer()
    informer.replace([config_map("gone", 1), config_map("same", 2), config_map("changed", 3)])
    heard.take()
    informer.replace([config_map("same", 2), config_map("changed", 5), config_map("new", 6)])
    assert heard.take() == ["-gone", "~changed", "+new"]


def test_an_object_created_anew_under_its_name_is_a_deletion_and_an_addition() -> None:
    informer, heard = idle_informer()
    informer.apply("ADDED", config_map("a", 1, uid="first"))
    informer.apply("MODIFIED", config_map("a", 5, uid="second"))
    assert heard.take() == ["+a", "-a", "+a"]


def test_a_late_handler_hears_what_is_there() -> None:
    informer, _ = idle_informer()
    informer.apply("ADDED", config_map("a", 1))
    late = Heard()
    informer.add_handler(late)
    assert late.take() == ["+a"]


def test_indexes_follow_changes() -> None:
    informer, _ = idle_informer()
    informer.apply("ADDED", config_map("a", 1, app="x"))
    informer.add_index("app", lambda obj: obj.labels.values())
    informer.apply("ADDED", config_map("b", 2, app="x"))
    assert {obj.name for obj in informer.by_index("app", "x")} == {"a", "b"}
    informer.apply("MODIFIED", config_map("a", 3, app="y"))
    informer.apply("DELETED", config_map("b", 4, app="x"))
    assert informer.by_index("app", "x") == []
    assert [obj.metadata.resourceVersion for obj in informer.by_index("app", "y")] == ["3"]
    with pytest.raises(ValueError, match="already defined"):
        informer.add_index("app", lambda obj: ())


def test_namespaces_are_kept_apart() -> None:
    informer, _ = idle_informer()
    informer.replace([config_map("a", 1, namespace="one"), config_map("a", 2, namespace="two")])
    assert len(informer.list()) == 2
    assert [obj.namespace for obj in informer.list("two")] == ["two"]


class ScriptedRest:
    """Answers lists and watches from a script; at its end it stays silent."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.calls: list[str] = []

    async def list(self, resource: Any, namespace: str = "", **_: object) -> Listing[ConfigMap]:
        self.calls.append("list")
        return await self._next()

    async def watch(
        self, resource: Any, namespace: str = "", *, resource_version: str, **_: object
    ) -> AsyncIterator[WatchEvent[ConfigMap]]:
        self.calls.append(f"watch {resource_version}")
        for kind, obj in await self._next():
            yield WatchEvent[ConfigMap](type=kind, object=obj)

    async def _next(self) -> Any:
        if not self.script:
            await asyncio.Future()
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


async def heard_until_silent(rest: ScriptedRest) -> tuple[Informer[ConfigMap], Heard]:
    """An informer, and what its handler heard, when the script has been used up."""
    informer: Informer[ConfigMap] = Informer(rest, ConfigMap, clock=QuickClock())  # type: ignore[arg-type]
    heard = Heard()
    informer.add_handler(heard)
    steps = len(rest.script)
    task = asyncio.ensure_future(informer.run())
    await eventually_async(lambda: len(rest.calls) > steps)
    task.cancel()
    return informer, heard


async def test_a_watch_starts_at_the_list_and_resumes_after_the_last_event_or_bookmark() -> None:
    rest = ScriptedRest(
        Listing([config_map("a", 3)], "5"),
        [("ADDED", config_map("b", 7))],
        [("BOOKMARK", config_map("", 20))],
    )

    informer, heard = await heard_until_silent(rest)
    assert rest.calls == ["list", "watch 5", "watch 7", "watch 20"]
    assert heard.all == ["+a", "+b"]
    assert informer.synced


async def test_too_old_a_revision_leads_to_a_new_list() -> None:
    rest = ScriptedRest(
        Listing([config_map("a", 3), config_map("b", 4)], "5"),
        Expired("too old"),
        Listing([config_map("b", 4)], "90"),
    )

    _, heard = await heard_until_silent(rest)
    assert rest.calls == ["list", "watch 5", "list", "watch 90"]
    assert heard.all == ["+a", "+b", "-a"]


async def test_errors_are_tried_again_from_where_it_stopped() -> None:
    rest = ScriptedRest(
        ConnectionError("refused"),
        ServiceUnavailable("starting"),
        Listing([config_map("a", 3)], "5"),
        ConnectionError("lost"),
        TimeoutError("slow"),
    )

    await heard_until_silent(rest)
    assert rest.calls == ["list", "list", "list", "watch 5", "watch 5", "watch 5"]
