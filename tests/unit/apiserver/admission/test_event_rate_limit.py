"""EventRateLimit: its buckets, and its configuration."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import TooManyRequests
from apiserver.admission._plugin import CREATE, Attributes, Chain, Lookup, enabled_plugins
from apiserver.admission.limits.eventratelimit import configured
from apiserver.auth.authorization.authorizer import AlwaysAllow
from apiserver.request.user import User
from componentbase.configfile import ConfigFileError
from kubeapi.core.event import RESOURCE as EVENTS
from tests.fakes.clock import FakeClock
from tests.kits.kinds import load

Dict = dict[str, Any]


def document(*limits: Dict) -> Dict:
    return {"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration", "limits": list(limits)}


class Server:
    def __init__(self, *limits: Dict) -> None:
        self.clock = FakeClock()
        plugins = [configured(document(*limits), self.clock)]
        self._chain = Chain(plugins, Lookup(None, {}, AlwaysAllow(), None))  # type: ignore[arg-type]

    async def refusal(self, namespace: str = "a", user: str = "u", *, about: str = "p", dry_run: bool = False) -> str:
        """Returns why an Event is refused; "" for one that passes."""
        body = {
            "metadata": {"name": "e", "namespace": namespace},
            "involvedObject": {"kind": "Pod", "name": about, "namespace": namespace},
            "source": {"component": "kubelet"},
        }
        event = Attributes(CREATE, EVENTS, "", namespace, "e", load(EVENTS, body), None, User(user), dry_run)
        try:
            await self._chain.validate(event)
        except TooManyRequests as error:
            return error.message
        return ""


async def test_a_bucket_is_full_at_first_and_fills_again() -> None:
    server = Server({"type": "Server", "qps": 2, "burst": 3})
    assert [await server.refusal() for _ in range(3)] == [""] * 3
    assert await server.refusal("b", "v") == "Too many requests: limit reached on type Server for key "
    server.clock.step(0.4)
    assert await server.refusal()
    server.clock.step(0.1)
    assert not await server.refusal()
    server.clock.step(1000)
    assert [bool(await server.refusal()) for _ in range(4)] == [False] * 3 + [True]


@pytest.mark.parametrize(
    ("kind", "other", "key"),
    [
        ("Namespace", {"namespace": "b"}, "a"),
        ("User", {"user": "v"}, "u"),
        ("SourceAndObject", {"about": "q"}, "kubeletPodap"),
    ],
)
async def test_keys_have_buckets_of_their_own(kind: str, other: Dict, key: str) -> None:
    server = Server({"type": kind, "qps": 1, "burst": 1})
    assert not await server.refusal()
    assert await server.refusal() == f"Too many requests: limit reached on type {kind} for key {key}"
    assert not await server.refusal(**other)


async def test_all_limits_hold_and_the_last_is_named() -> None:
    server = Server({"type": "Server", "qps": 1, "burst": 1}, {"type": "User", "qps": 1, "burst": 1})
    assert not await server.refusal()
    assert "type User" in await server.refusal()
    assert "type Server" in await server.refusal(user="v")


async def test_the_quietest_key_is_forgotten() -> None:
    server = Server({"type": "Namespace", "qps": 1, "burst": 1, "cacheSize": 2})
    assert not await server.refusal("a")
    assert not await server.refusal("b")
    assert not await server.refusal("c")
    assert not await server.refusal("a")
    assert await server.refusal("c")


async def test_a_dry_run_takes_nothing() -> None:
    server = Server({"type": "Server", "qps": 1, "burst": 1})
    assert not await server.refusal(dry_run=True)
    assert not await server.refusal()
    assert not await server.refusal(dry_run=True)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ([], "limits: Invalid value: []: must not be empty"),
        ([{"type": "X", "qps": 1, "burst": 1}],
         'limits[0].type: Unsupported value: "X": supported values: "Server", "Namespace", "User", "SourceAndObject"'),
        ([{"type": "User", "qps": 0, "burst": 1}], "limits[0].qps: Invalid value: 0: must be positive"),
        ([{"type": "User", "qps": 1, "burst": -1}], "limits[0].burst: Invalid value: -1: must be positive"),
        ([{"type": "User", "qps": 1, "burst": 1, "cacheSize": -1}],
         "limits[0].cacheSize: Invalid value: -1: must not be negative"),
        ([{"type": "User", "qps": 1, "burst": 1, "bust": 1}], 'unknown field "limits[0].bust"'),
    ],
)  # fmt: skip
def test_a_bad_configuration_is_refused(limits: list[Dict], text: str) -> None:
    with pytest.raises(ConfigFileError) as error:
        configured(document(*limits))
    assert text in str(error.value)


def test_it_is_not_switched_on_without_a_configuration() -> None:
    with pytest.raises(ConfigFileError, match="EventRateLimit"):
        enabled_plugins([], ["EventRateLimit"])
    limits = document({"type": "Server", "qps": 1, "burst": 1})
    plugins = enabled_plugins([], ["EventRateLimit"], {"EventRateLimit": limits})
    assert "EventRateLimit" in {plugin.name for plugin in plugins}
    plugins = enabled_plugins([], [], {"EventRateLimit": limits})
    assert "EventRateLimit" not in {plugin.name for plugin in plugins}
