"""Which of the addresses that the engine gave a pod are the pod's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubelet.container.downward import pod_addresses
from kubelet.runtime.configs import PodRef
from kubelet.runtime.interface import SandboxStatus

SANDBOX = SandboxStatus(
    "s", PodRef("u", "default", "p"), 0, ready=True, ips=("10.244.1.2", "fd00::2"), created_at=0.0, host_network=False
)


@pytest.mark.parametrize(
    ("node_ips", "expected"),
    [
        (("172.30.0.11",), ("10.244.1.2",)),
        (("fd00:172::b",), ("fd00::2",)),
        (("172.30.0.11", "fd00:172::b"), ("10.244.1.2", "fd00::2")),
        (("fd00:172::b", "172.30.0.11"), ("fd00::2", "10.244.1.2")),
    ],
)
def test_a_pod_has_addresses_of_its_node_s_families_in_their_order(
    node_ips: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert pod_addresses(SANDBOX, node_ips) == expected
    assert pod_addresses(replace(SANDBOX, host_network=True, ips=()), node_ips) == node_ips
    assert pod_addresses(replace(SANDBOX, ready=False), node_ips) == ()
