"""Who may use the kubelet's server, by the API server's word: questions, answers that are kept, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest

from apimachinery.errors import StatusError
from kubeclient.access.config import ClientConfig
from kubeclient.rest import RestClient
from kubelet.server.authorization import Client, ReviewAuthorizer, ReviewCacheLimits
from tests.fakes.clock import FakeClock
from tests.fakes.http import Request, answer, http_server

API_SERVER = Client("kube-apiserver-kubelet-client", ("system:masters", "system:authenticated"))
MONITOR = Client("monitor", ("system:authenticated",))
LIMITS = ReviewCacheLimits(allowed_seconds=300, refused_seconds=30, answers=2)


class Reviews:
    """Allows what is in `allowed`: (user, verb, subresource)."""

    def __init__(self) -> None:
        self.allowed = {
            (API_SERVER.name, "create", "proxy"),
            (MONITOR.name, "get", "metrics"),
            (MONITOR.name, "get", "pods"),
        }
        self.asked: list[dict[str, Any]] = []
        self.broken = False

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.broken:
            body = {"kind": "Status", "status": "Failure", "code": 500, "reason": "InternalError", "message": "no"}
            writer.write(answer(orjson.dumps(body), "500 Internal Server Error"))
            return
        spec = orjson.loads(request.body)["spec"]
        self.asked.append(spec)
        attributes = spec["resourceAttributes"]
        allowed = (spec["user"], attributes["verb"], attributes["subresource"]) in self.allowed
        writer.write(answer(orjson.dumps({"spec": spec, "status": {"allowed": allowed}}), "201 Created"))


class Rig:
    def __init__(self, reviews: Reviews, rest: RestClient) -> None:
        self.reviews, self.clock = reviews, FakeClock()
        self.authorizer = ReviewAuthorizer(rest, "n1", self.clock, LIMITS)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    reviews = Reviews()
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        server = await stack.enter_async_context(http_server(reviews))
        rest = await stack.enter_async_context(RestClient(ClientConfig(server=server.url), user_agent="test/1"))
        yield Rig(reviews, rest)


async def test_it_asks_about_its_own_node_for_the_user_of_the_certificate(rig: Rig) -> None:
    assert await rig.authorizer.refusal(API_SERVER, "POST", "exec") == ""
    assert rig.reviews.asked == [
        {
            "user": API_SERVER.name,
            "groups": list(API_SERVER.groups),
            "resourceAttributes": {
                "verb": "create", "version": "v1", "resource": "nodes", "subresource": "proxy", "name": "n1",
            },
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "first", "allowed"),
    [
        ("GET", "metrics", True),
        ("GET", "pods", True),
        ("GET", "stats", False),
        ("GET", "containerLogs", False),
        ("POST", "exec", False),
        ("POST", "metrics", False),
        ("BREW", "metrics", False),
    ],
)
async def test_paths_are_parts_of_the_node(rig: Rig, method: str, first: str, allowed: bool) -> None:
    assert (await rig.authorizer.refusal(MONITOR, method, first) == "") is allowed


async def test_whoever_may_proxy_may_list_pods(rig: Rig) -> None:
    rig.reviews.allowed = {(MONITOR.name, "get", "proxy")}
    assert await rig.authorizer.refusal(MONITOR, "GET", "pods") == ""


async def test_a_refusal_says_what_was_missing(rig: Rig) -> None:
    why = "Forbidden (user=monitor, verb=create, resource=nodes, subresource(s)=[proxy])"
    assert await rig.authorizer.refusal(MONITOR, "POST", "exec") == why


async def test_answers_are_kept_for_a_while_and_refusals_for_less(rig: Rig) -> None:
    async def questions(method: str, first: str) -> int:
        before = len(rig.reviews.asked)
        await rig.authorizer.refusal(MONITOR, method, first)
        return len(rig.reviews.asked) - before

    assert [await questions("GET", "metrics"), await questions("POST", "exec")] == [1, 1]
    rig.clock.step(29)
    assert [await questions("GET", "metrics"), await questions("POST", "exec")] == [0, 0]
    rig.clock.step(2)
    assert [await questions("GET", "metrics"), await questions("POST", "exec")] == [0, 1]
    rig.clock.step(300)
    assert await questions("GET", "metrics") == 1
    await questions("GET", "stats")  # a third answer: the oldest goes
    await questions("GET", "run")
    assert await questions("GET", "metrics") == 1


async def test_without_an_answer_nobody_is_let_in(rig: Rig) -> None:
    rig.reviews.broken = True
    with pytest.raises(StatusError):
        await rig.authorizer.refusal(API_SERVER, "POST", "exec")
