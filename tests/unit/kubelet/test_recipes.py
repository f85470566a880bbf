"""CONTRIBUTING.md's recipes for the kubelet do what they say."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.storagevolumes import CephFSVolumeSource
from kubelet.probe.interface import ProbedContainer
from kubelet.probe.state import ProbeResult
from kubelet.volume.interface import VolumeError
from tests.kits.house import recipe


def module(heading: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": heading}
    exec(recipe(heading), names)
    return names


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(b"here", address)


async def test_the_new_probe_kind_succeeds_on_an_answer_and_fails_without() -> None:
    probe = module("A new probe kind")["PROBE"]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    container = ProbedContainer(None, Container(name="app"), "id", "127.0.0.1")  # type: ignore[arg-type]
    action = SimpleNamespace(port=transport.get_extra_info("sockname")[1])
    try:
        assert await probe.attempt(container, action, 10.0) == ProbeResult("success")
    finally:
        transport.close()
    assert await probe.attempt(container, action, 0.01) == ProbeResult("failure", "no answer")


def test_the_new_volume_type_waits_for_its_folder() -> None:
    volume = module("A new volume type")["VOLUME"]
    with pytest.raises(VolumeError, match="/ceph/none/data is not there"):
        volume.setup(None, CephFSVolumeSource(monitors=["none"], path="/data"))
