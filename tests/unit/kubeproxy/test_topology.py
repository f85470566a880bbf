"""Which endpoints a node may use for a service's port."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeproxy.topology import BALANCE_ANNOTATION, Balance, Endpoint, Place, ServicePort, service_ports

NODE = "worker-1"
PLACE = Place(NODE, "a")


def service(**spec: Any) -> Service:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]
    status = spec.pop("status", {})
    labels, annotations = spec.pop("labels", {}), spec.pop("annotations", {})
    body = {"clusterIP": "10.96.0.10", "ports": ports} | spec
    metadata = {"name": "web", "namespace": "default", "labels": labels, "annotations": annotations}
    return from_dict(Service, {"metadata": metadata, "spec": body, "status": status})


def endpoint(ip: str, node: str = NODE, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "nodeName": node, "conditions": conditions}


READY = {"ready": True, "serving": True, "terminating": False}
DRAINING = {"ready": False, "serving": True, "terminating": True}
DEAD = {"ready": False, "serving": False, "terminating": True}


def endpoint_slice(*endpoints: dict[str, Any], ports: list[dict[str, Any]] | None = None, **top: Any) -> EndpointSlice:
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}] if ports is None else ports
    return from_dict(EndpointSlice, {"addressType": "IPv4", "endpoints": list(endpoints), "ports": ports} | top)


def only(service: Service, *slices: EndpointSlice) -> ServicePort:
    (port,) = service_ports(service, slices, PLACE)
    return port


def ips(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [item.ip for item in endpoints]


def test_a_port_leads_to_the_ready_endpoints_in_order() -> None:
    slices = endpoint_slice(endpoint("10.244.2.9", "worker-2", **READY), endpoint("10.244.1.5", **READY))
    port = only(service(), slices)
    assert port.cluster_endpoints == (Endpoint("10.244.1.5", 8080, True), Endpoint("10.244.2.9", 8080, False))
    assert port.local_endpoints == ()
    assert port.has_endpoints
    assert (port.full_name, port.protocol, port.cluster_ip, port.port) == ("default/web:http", "tcp", "10.96.0.10", 80)


def test_an_unnamed_port_has_no_colon_in_its_name() -> None:
    port = only(
        service(ports=[{"port": 80}]), endpoint_slice(endpoint("10.244.1.5"), ports=[{"name": "", "port": 8080}])
    )
    assert port.full_name == "default/web"
    assert ips(port.cluster_endpoints) == ["10.244.1.5"]


def test_endpoints_that_are_not_ready_get_nothing() -> None:
    port = only(service(), endpoint_slice(endpoint("10.244.1.5", **READY), endpoint("10.244.1.6", ready=False)))
    assert ips(port.cluster_endpoints) == ["10.244.1.5"]


def test_unknown_conditions_count_as_ready() -> None:
    assert ips(only(service(), endpoint_slice(endpoint("10.244.1.5"))).cluster_endpoints) == ["10.244.1.5"]


def test_draining_endpoints_serve_only_while_none_is_ready() -> None:
    draining, dead = endpoint("10.244.1.6", **DRAINING), endpoint("10.244.1.7", **DEAD)
    both = only(service(), endpoint_slice(endpoint("10.244.1.5", **READY), draining, dead))
    assert ips(both.cluster_endpoints) == ["10.244.1.5"]
    last = only(service(), endpoint_slice(draining, dead))
    assert ips(last.cluster_endpoints) == ["10.244.1.6"]


def test_not_ready_and_not_terminating_is_no_fallback() -> None:
    port = only(service(), endpoint_slice(endpoint("10.244.1.5", ready=False, serving=False)))
    assert port.cluster_endpoints == ()
    assert not port.has_endpoints


def test_no_slice_means_no_endpoints() -> None:
    port = only(service())
    assert (port.cluster_endpoints, port.has_endpoints) == ((), False)


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None"},
        {"clusterIP": ""},
        {"type": "ExternalName", "externalName": "example.com"},
        {"labels": {"service.kubernetes.io/service-proxy-name": "other"}},
    ],
    ids=["headless", "unallocated", "external-name", "other-proxy"],
)
def test_services_that_are_not_ours_are_left_alone(spec: dict[str, Any]) -> None:
    assert service_ports(service(**spec), [endpoint_slice(endpoint("10.244.1.5"))], PLACE) == ()


def test_slice_ports_match_by_name_and_protocol() -> None:
    dns = service(ports=[{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}])
    ports = [
        {"name": "dns", "port": 5353, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 5354, "protocol": "TCP"},
        {"name": "dns", "port": 9, "protocol": "TCP"},
        {"name": "dns-tcp"},
    ]
    udp, tcp = service_ports(dns, [endpoint_slice(endpoint("10.244.1.5"), ports=ports)], PLACE)
    assert (udp.protocol, udp.cluster_endpoints) == ("udp", (Endpoint("10.244.1.5", 5353, True),))
    assert (tcp.protocol, tcp.cluster_endpoints) == ("tcp", (Endpoint("10.244.1.5", 5354, True),))


def test_slices_of_other_address_families_and_bad_addresses_are_skipped() -> None:
    slices = [
        endpoint_slice(endpoint("fd00::5"), addressType="IPv6"),
        endpoint_slice(endpoint("example.com"), addressType="FQDN"),
        endpoint_slice(endpoint("not-an-address"), {"addresses": []}),
    ]
    assert only(service(), *slices).cluster_endpoints == ()


def test_an_endpoint_in_two_slices_counts_once_and_the_ready_mention_wins() -> None:
    stale, fresh = endpoint_slice(endpoint("10.244.1.5", ready=False)), endpoint_slice(endpoint("10.244.1.5", **READY))
    for order in ((stale, fresh), (fresh, stale)):
        assert ips(only(service(), *order).cluster_endpoints) == ["10.244.1.5"]


def test_internal_policy_local_keeps_traffic_on_the_node() -> None:
    slices = endpoint_slice(endpoint("10.244.1.5"), endpoint("10.244.2.9", "worker-2"))
    port = only(service(internalTrafficPolicy="Local"), slices)
    assert ips(port.internal_endpoints) == ["10.244.1.5"]
    assert port.cluster_endpoints == ()


def test_internal_policy_local_without_a_local_endpoint_still_knows_of_the_others() -> None:
    port = only(service(internalTrafficPolicy="Local"), endpoint_slice(endpoint("10.244.2.9", "worker-2")))
    assert (port.internal_endpoints, port.has_endpoints) == ((), True)


def test_external_policy_local_splits_inner_from_outer_traffic() -> None:
    slices = endpoint_slice(endpoint("10.244.1.5"), endpoint("10.244.2.9", "worker-2"))
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    port = only(service(type="NodePort", ports=ports, externalTrafficPolicy="Local"), slices)
    assert ips(port.external_endpoints) == ["10.244.1.5"]
    assert ips(port.internal_endpoints) == ["10.244.1.5", "10.244.2.9"]
    assert port.node_port == 30080


def test_local_falls_back_to_local_draining_endpoints_though_remote_ones_are_ready() -> None:
    slices = endpoint_slice(endpoint("10.244.1.5", **DRAINING), endpoint("10.244.2.9", "worker-2", **READY))
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    port = only(service(type="NodePort", ports=ports, externalTrafficPolicy="Local"), slices)
    assert ips(port.external_endpoints) == ["10.244.1.5"]
    assert ips(port.cluster_endpoints) == ["10.244.2.9"]
    assert port.endpoints == (*port.cluster_endpoints, *port.local_endpoints)


def test_external_policy_without_external_addresses_needs_no_local_endpoints() -> None:
    port = only(service(externalTrafficPolicy="Local"), endpoint_slice(endpoint("10.244.1.5")))
    assert port.local_endpoints == ()


def test_session_affinity_has_a_default_timeout() -> None:
    slices = endpoint_slice(endpoint("10.244.1.5"))
    assert only(service(), slices).affinity_seconds == 0
    assert only(service(sessionAffinity="ClientIP"), slices).affinity_seconds == 10800
    config = {"clientIP": {"timeoutSeconds": 60}}
    assert only(service(sessionAffinity="ClientIP", sessionAffinityConfig=config), slices).affinity_seconds == 60


def test_external_addresses_of_the_other_family_are_skipped() -> None:
    port = only(service(externalIPs=["203.0.113.7", "fd00::7"], loadBalancerSourceRanges=["10.0.0.0/8 ", "fd00::/8"]))
    assert port.external_ips == ("203.0.113.7",)
    assert port.source_ranges == ("10.0.0.0/8",)


def test_load_balancer_addresses_count_unless_the_balancer_proxies() -> None:
    ingress = [{"ip": "198.51.100.1"}, {"ip": "198.51.100.2", "ipMode": "VIP"}]
    ingress += [{"ip": "198.51.100.3", "ipMode": "Proxy"}, {"hostname": "lb.example.com"}]
    status = {"loadBalancer": {"ingress": ingress}}
    assert only(service(type="LoadBalancer", status=status)).load_balancer_ips == ("198.51.100.1", "198.51.100.2")
    assert only(service(status=status)).load_balancer_ips == ()


def test_the_health_check_port_belongs_to_external_policy_local() -> None:
    spec = {"type": "LoadBalancer", "healthCheckNodePort": 31000}
    assert only(service(**spec, externalTrafficPolicy="Local")).health_check_node_port == 31000
    assert only(service(**spec)).health_check_node_port == 0


def test_each_family_has_its_own_address_and_endpoints() -> None:
    slices = [endpoint_slice(endpoint("10.244.1.5")), endpoint_slice(endpoint("fd00:1::5"), addressType="IPv6")]
    ips_of_both = {"clusterIP": "fd00:96::a", "clusterIPs": ["fd00:96::a", "10.96.0.10"]}
    both = service(**ips_of_both, externalIPs=["203.0.113.7", "fd00::7"])
    four, six = service_ports(both, slices, PLACE)
    assert (four.family, four.cluster_ip, ips(four.cluster_endpoints)) == (4, "10.96.0.10", ["10.244.1.5"])
    assert (six.family, six.cluster_ip, ips(six.cluster_endpoints)) == (6, "fd00:96::a", ["fd00:1::5"])
    assert (four.external_ips, six.external_ips) == (("203.0.113.7",), ("fd00::7",))
    assert str(six.cluster_endpoints[0]) == "[fd00:1::5]:8080"


def hinted(ip: str, *zones: str, nodes: tuple[str, ...] = (), **conditions: bool) -> dict[str, Any]:
    hints = {"forZones": [{"name": zone} for zone in zones], "forNodes": [{"name": node} for node in nodes]}
    return endpoint(ip, "worker-9", **conditions) | {"hints": hints}


@pytest.mark.parametrize(
    ("endpoints", "wanted"),
    [
        ([hinted("10.0.0.1", "a"), hinted("10.0.0.2", "b")], ["10.0.0.1"]),
        ([hinted("10.0.0.1", "a", "b"), hinted("10.0.0.2", "b")], ["10.0.0.1"]),
        ([hinted("10.0.0.1", "b"), hinted("10.0.0.2", "c")], ["10.0.0.1", "10.0.0.2"]),
        ([hinted("10.0.0.1", "a"), endpoint("10.0.0.2")], ["10.0.0.1", "10.0.0.2"]),
        ([hinted("10.0.0.1", "a"), endpoint("10.0.0.2", ready=False)], ["10.0.0.1"]),
        ([hinted("10.0.0.1", "a", nodes=(NODE,)), hinted("10.0.0.2", "a", nodes=("worker-2",))], ["10.0.0.1"]),
        ([hinted("10.0.0.1", "a", nodes=("worker-3",)), hinted("10.0.0.2", "b", nodes=("worker-2",))], ["10.0.0.1"]),
        ([hinted("10.0.0.1", "a", **DRAINING), hinted("10.0.0.2", "b", **DRAINING)], ["10.0.0.1", "10.0.0.2"]),
    ],
    ids=["zone", "zones", "other-zones", "without", "not-ready", "node", "zone-after-node", "draining"],
)
def test_hints_are_followed_where_all_have_them(endpoints: list[dict[str, Any]], wanted: list[str]) -> None:
    assert ips(only(service(), endpoint_slice(*endpoints)).cluster_endpoints) == wanted


def test_the_policy_local_knows_no_hints() -> None:
    slices = endpoint_slice(hinted("10.0.0.1", "b") | {"nodeName": NODE}, hinted("10.0.0.2", "a"))
    assert ips(only(service(internalTrafficPolicy="Local"), slices).internal_endpoints) == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("annotation", "spec", "wanted"),
    [
        ("", {}, Balance.RANDOM),
        ("fastest", {}, Balance.RANDOM),
        ("round-robin", {}, Balance.ROUND_ROBIN),
        ("least-connections", {}, Balance.LEAST_CONNECTIONS),
        ("least-connections", {"sessionAffinity": "ClientIP"}, Balance.RANDOM),
        ("least-connections", {"ports": [{"name": "http", "port": 80, "protocol": "UDP"}]}, Balance.RANDOM),
    ],
)
def test_an_annotation_chooses_the_balance(annotation: str, spec: dict[str, Any], wanted: Balance) -> None:
    assert only(service(annotations={BALANCE_ANNOTATION: annotation}, **spec)).balance is wanted


def test_who_asks_the_health_check_port_hears_of_ready_endpoints_on_this_node() -> None:
    slices = endpoint_slice(
        endpoint("10.0.0.1"), endpoint("10.0.0.2", "worker-2"), endpoint("10.0.0.3", ready=False),
        endpoint("10.0.0.4", **DRAINING),
    )  # fmt: skip
    spec = {"type": "LoadBalancer", "healthCheckNodePort": 31000, "externalTrafficPolicy": "Local"}
    assert only(service(**spec), slices).ready_here == 1
