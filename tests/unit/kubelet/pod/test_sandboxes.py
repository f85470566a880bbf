"""Making sandboxes: what is looked up for them, and how a pod says why it has none."""

from __future__ import annotations

from typing import Any, cast

import pytest

from apimachinery.errors import object_not_found
from apimachinery.meta import ObjectMeta
from kubeapi.node.runtimeclass import RuntimeClass
from kubeclient.rest import RestClient
from kubelet.cgroups.manager import GroupOptions, PodGroups
from kubelet.network.dns import ClusterDns
from kubelet.pod.sandboxes import Sandboxes
from kubelet.pod.termination import Terminator
from kubelet.pod.work import PodWork, SyncFailed
from kubelet.runtime.configs import DnsConfig, SandboxConfig
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.kubelet import make_pod


class Classes:
    """The API's runtime classes: the one called "fast"."""

    async def get(self, model: type[RuntimeClass], name: str) -> RuntimeClass:
        if name != "fast":
            raise object_not_found("runtimeclasses", "node.k8s.io", name)
        return RuntimeClass(metadata=ObjectMeta(name=name), handler="crun")


class Told:
    """Events as reason and message."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def event(self, obj: Any, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        self.events.append((reason, message))


async def create(spec: dict[str, Any], cluster: ClusterDns | None = None) -> tuple[SandboxConfig | None, Told]:
    """The sandbox that the runtime was asked for, if it was, and what was told."""
    told, runtime, clock = Told(), FakeRuntime(), FakeClock()
    dns = cluster or ClusterDns(("10.96.0.10",))
    rest = cast(RestClient, Classes())
    terminator, node_dns, groups = (
        Terminator(runtime, told, clock),
        DnsConfig(("192.0.2.1",)),
        PodGroups(GroupOptions()),
    )
    sandboxes = Sandboxes(runtime, rest, terminator, told, dns, node_dns, groups)
    try:
        await sandboxes.create(PodWork(make_pod(spec)), 0, ())
    except SyncFailed:
        return None, told
    ((_, config),) = runtime.sandboxes.values()
    return config, told


async def test_a_class_names_its_handler() -> None:
    config, told = await create({"runtimeClassName": "fast", "hostUsers": False})
    assert config is not None
    assert (config.runtime_handler, config.host_users, told.events) == ("crun", False, [])


async def test_a_pod_has_its_name_and_resolver() -> None:
    config, told = await create({"subdomain": "db", "setHostnameAsFQDN": True}, ClusterDns())
    assert config is not None
    assert (config.hostname, config.dns) == ("web.db.default.svc.cluster.local", DnsConfig(("192.0.2.1",)))
    assert [reason for reason, _ in told.events] == ["MissingClusterDNS"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"runtimeClassName": "none"}, 'runtimeclasses.node.k8s.io "none" not found'),
        ({"hostname": "h" * 60, "subdomain": "db", "setHostnameAsFQDN": True}, "failed to construct FQDN"),
    ],
)
async def test_a_sandbox_that_cannot_be_described_is_told(spec: dict[str, Any], words: str) -> None:
    config, told = await create(spec)
    assert config is None
    ((reason, message),) = told.events
    assert reason == "FailedCreatePodSandBox"
    assert message.startswith("Failed to create pod sandbox: ")
    assert words in message
