"""What load balancers hear of a node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from apimachinery.model import from_dict
from kubeapi.core.node import Node
from kubeproxy import metrics
from kubeproxy.node import ThisNode
from kubeproxy.serving.health import HealthzHandler, MetricsHandler
from kubeproxy.serving.health_ports import HealthPort, wanted_ports
from kubeproxy.settings import Mode
from kubeproxy.topology import Endpoint, Place, ServicePort

PORT = ServicePort("ns", "web", "", "tcp", "10.96.0.10", 80, health_check_node_port=31000, ready_here=2)


class FakeProxier:
    synced_at = 100.0
    problem = ""

    def check(self) -> str:
        return self.problem


class FakeClock:
    def now(self) -> float:
        return 200.0


def this_node(**body: Any) -> ThisNode:
    node: Any = ThisNode.__new__(ThisNode)
    node._name = "n1"
    held = from_dict(Node, {"metadata": {"name": "n1"}, **body}) if body else None
    node.informer = {"n1": held}
    return node  # type: ignore[no-any-return]


def test_a_node_tells_its_place_and_addresses() -> None:
    node = this_node(
        metadata={"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}},
        spec={"podCIDRs": ["10.244.1.0/24"]},
        status={"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}, {"type": "Hostname", "address": "n1"}]},
    )
    assert (node.place, node.addresses, node.pod_cidrs) == (Place("n1", "a"), ("172.18.0.2",), ("10.244.1.0/24",))
    nobody = this_node()
    assert (nobody.place, nobody.addresses, nobody.pod_cidrs, nobody.eligible) == (Place("n1"), (), (), True)


LEAVING = {"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}}
DELETED = {"metadata": {"name": "n1", "deletionTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("node", "problem", "healthz", "livez"),
    [({}, "", 200, 200), (LEAVING, "", 503, 200), (DELETED, "", 503, 200), ({}, "stuck", 503, 503)],
)
def test_health_is_of_the_rules_and_on_healthz_of_the_node_as_well(
    node: dict[str, Any], problem: str, healthz: int, livez: int
) -> None:
    proxier: Any = FakeProxier()
    proxier.problem = problem
    handler = HealthzHandler(proxier, this_node(**node), FakeClock())  # type: ignore[arg-type]
    status, _, body = handler.respond("/healthz", b"", False)
    updated = "1970-01-01T00:01:40Z" if problem else "1970-01-01T00:03:20Z"
    assert (status, orjson.loads(body)) == (
        healthz,
        {"lastUpdated": updated, "currentTime": "1970-01-01T00:03:20Z", "nodeEligible": not node},
    )
    assert handler.respond("/livez", b"", False)[0] == livez
    assert handler.respond("/", b"", False)[0] == 404
    assert MetricsHandler(proxier, Mode.NFTABLES).respond("/proxyMode", b"", False)[2] == b"nftables"


def test_a_health_check_port_answers_by_the_endpoints_on_the_node() -> None:
    port = HealthPort("ns", "web", 31000, 2)
    status, headers, body = port.answer(True)
    assert status == 200
    assert b"x-load-balancing-endpoint-weight: 2\r\n" in headers
    wanted = {"service": {"namespace": "ns", "name": "web"}, "localEndpoints": 2, "serviceProxyHealthy": True}
    assert orjson.loads(body) == wanted
    assert port.answer(False)[0] == 503
    assert HealthPort("ns", "web", 31000, 0).answer(True)[0] == 503


def test_a_service_has_one_health_check_port_whatever_its_families_and_ports() -> None:
    six = replace(PORT, cluster_ip="fd00::a", ready_here=1)
    changes = {
        "ns/web": (PORT, replace(PORT, port=81), six),
        "ns/gone": (),
        "ns/none": (replace(PORT, health_check_node_port=0),),
    }
    assert wanted_ports(changes) == {"ns/web": HealthPort("ns", "web", 31000, 2), "ns/gone": None, "ns/none": None}


def test_services_without_local_endpoints_are_counted_while_they_are() -> None:
    def counted(policy: str) -> float:
        return metrics.NO_LOCAL_ENDPOINTS.labels("IPv4", policy)._value.get()

    counts = metrics.LocalEndpointCounts(4)
    before = counted("internal"), counted("external")
    elsewhere = replace(PORT, node_port=30080, external_local=True, internal_local=True, has_endpoints=True)
    counts.update("ns/web", [elsewhere, replace(elsewhere, port=81)])
    assert (counted("internal"), counted("external")) == (before[0] + 2, before[1] + 2)
    counts.update("ns/web", [replace(elsewhere, local_endpoints=(Endpoint("10.244.1.5", 80, True),))])
    assert (counted("internal"), counted("external")) == before
    counts.update("ns/web", [replace(elsewhere, has_endpoints=False)])
    assert (counted("internal"), counted("external")) == before
