"""Following the Corefile and the node's resolv.conf."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from clusterdns.configuration import Configuration
from clusterdns.message import Query
from clusterdns.resolver import Answered, Resolver
from kubeapi.core.configmap import ConfigMap
from tests.fakes.api import FakeRecorder
from tests.fakes.dns import FakeCluster
from tests.kits.eventually import eventually_async

HOSTS = ".:53 {\nkubernetes\nhosts {\n10.0.0.1 a\n}\n}"


class Followed:
    def __init__(self, folder: Path) -> None:
        self.cluster, self.recorder = FakeCluster(), FakeRecorder()
        self.file = folder / "resolv.conf"
        self.file.write_text("nameserver 192.0.2.1\n")
        self.installed: list[Resolver] = []
        arguments: Any = (None, self.cluster, self.recorder, ["10.96.0.10"], str(self.file), self.installed.append)
        self.configuration = Configuration(*arguments)

    async def set(self, text: str | None) -> None:
        meta = ObjectMeta(name="coredns", namespace="kube-system", uid="1")
        config_map = ConfigMap(metadata=meta, data={"Corefile": text} if text is not None else {})
        self.configuration._informer.apply("DELETED" if text is None else "MODIFIED", config_map)
        await self.configuration._load()

    def knows(self, name: str) -> bool:
        answered = self.configuration.resolver.answer(Query((name,), 1))
        return isinstance(answered, Answered) and bool(answered.reply.answers)


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


async def test_the_newest_corefile_that_can_be_served_holds(followed: Followed) -> None:
    assert not followed.knows("a")
    await followed.set(HOSTS)
    assert followed.knows("a")
    for wrong in (".:53 {\nkubernetes\ndnssec\n}", ""):
        await followed.set(wrong)
        assert followed.knows("a")
    told = [f"Warning InvalidCorefile Corefile:{line}" for line in (3, 1)]
    assert [event.partition(": ")[0] for event in followed.recorder.events] == told
    await followed.set(None)
    assert not followed.knows("a"), "without a ConfigMap, the built-in one holds"


async def test_other_resolvers_of_the_node_are_asked_from_then_on(followed: Followed) -> None:
    configuration = followed.configuration
    configuration._informer.run = asyncio.Event().wait  # type: ignore[method-assign, assignment]
    task = asyncio.ensure_future(configuration.run())

    def upstreams() -> list[str]:
        sites = configuration.resolver._sites
        return [item.address for site in sites for forwarder in site.forwarders for item in forwarder._upstreams]

    try:
        assert upstreams() == ["192.0.2.1"]
        followed.file.write_text("")  # half written
        followed.file.write_text("nameserver 127.0.0.9\nnameserver 10.96.0.10\n")
        await eventually_async(lambda: upstreams() == ["127.0.0.9"])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
