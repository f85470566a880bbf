"""Addresses and node ports of Services: given, kept, refused when taken, and given back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.process import controller_manager

MERGE = {"content-type": "application/merge-patch+json"}
RANGE = IPv4Network("10.50.0.0/27")


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, ApiServer]]:
    """Two servers on one etcd, with 29 addresses and 10 node ports to give."""
    folder = tmp_path_factory.mktemp("pair")
    flags = [f"--service-cluster-ip-range={RANGE}", "--service-node-port-range=31000-31009"]
    with (
        EtcdServer(folder) as etcd,
        ApiServer(folder / "one", etcd.url, *flags) as one,
        ApiServer(folder / "two", etcd.url, *flags) as two,
    ):
        yield one, two


SERVICES = "/api/v1/namespaces/default/services"


def service(name: str, *ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": list(ports) or [{"port": 80}], **spec}}


def make(api: ApiServer, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.http.post(SERVICES, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["spec"]
    return made


def test_the_kubernetes_service_has_the_first_address(api: ApiServer) -> None:
    spec = api.http.get(f"{SERVICES}/kubernetes").json()["spec"]
    assert (spec["clusterIP"], spec["ports"][0]["port"]) == ("10.96.0.1", 443)


def test_a_service_keeps_the_address_it_was_given(api: ApiServer) -> None:
    spec = make(api, service("kept"))
    assert IPv4Address(spec["clusterIP"]) in IPv4Network("10.96.0.0/16")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    again = api.http.put(f"{SERVICES}/kept", json=service("kept", {"port": 81}))
    assert (again.status_code, again.json()["spec"]["clusterIP"]) == (200, spec["clusterIP"])


def test_an_address_asked_for_is_given_once(api: ApiServer) -> None:
    assert make(api, service("mine", clusterIP="10.96.0.77"))["clusterIP"] == "10.96.0.77"
    answer = api.http.post(SERVICES, json=service("yours", clusterIP="10.96.0.77"))
    assert answer.status_code == 422
    assert answer.json()["message"] == (
        'Service "yours" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.77"]: failed to allocate IP 10.96.0.77: '
        "provided IP is already allocated"
    )
    api.http.delete(f"{SERVICES}/mine")
    assert make(api, service("yours", clusterIP="10.96.0.77"))["clusterIP"] == "10.96.0.77"


def test_headless_and_external_services_take_no_address(api: ApiServer) -> None:
    assert make(api, service("headless", clusterIP="None"))["clusterIPs"] == ["None"]
    spec = make(api, {"metadata": {"name": "external"}, "spec": {"type": "ExternalName", "externalName": "a.example"}})
    assert "clusterIP" not in spec


def test_node_ports_follow_the_type(api: ApiServer) -> None:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53},
        {"name": "web", "port": 80},
    ]
    spec = make(api, service("typed", *ports, type="NodePort"))
    given = [port["nodePort"] for port in spec["ports"]]
    assert given[0] == given[1] != given[2]
    assert all(30000 <= port <= 32767 for port in given)
    reordered = service("typed", ports[2], ports[0], ports[1], type="NodePort")
    spec = api.http.put(f"{SERVICES}/typed", json=reordered).json()["spec"]
    assert [port["nodePort"] for port in spec["ports"]] == [given[2], given[0], given[1]]
    taken = api.http.post(SERVICES, json=service("other", {"port": 1, "nodePort": given[2]}, type="NodePort"))
    assert taken.json()["details"]["causes"][0]["field"] == "spec.ports[0].nodePort"
    assert "provided port is already allocated" in taken.json()["message"]
    spec = api.http.patch(f"{SERVICES}/typed", json={"spec": {"type": "ClusterIP"}}, headers=MERGE).json()["spec"]
    assert not any("nodePort" in port for port in spec["ports"])
    make(api, service("other", {"port": 1, "nodePort": given[2]}, type="NodePort"))


def test_the_health_check_port_of_a_balancer_stays_and_goes_with_its_reason(api: ApiServer) -> None:
    spec = make(api, service("balanced", type="LoadBalancer", externalTrafficPolicy="Local"))
    port = spec["healthCheckNodePort"]
    other = {"spec": {"healthCheckNodePort": port + 1 if port < 32767 else port - 1}}
    refused = api.http.patch(f"{SERVICES}/balanced", json=other, headers=MERGE)
    assert (refused.status_code, refused.json()["details"]["causes"][0]["field"]) == (422, "spec.healthCheckNodePort")
    cluster = {"spec": {"externalTrafficPolicy": "Cluster"}}
    assert (
        "healthCheckNodePort" not in api.http.patch(f"{SERVICES}/balanced", json=cluster, headers=MERGE).json()["spec"]
    )
    make(api, service("heir", {"port": 1, "nodePort": port}, type="NodePort"))


def test_a_port_that_is_named_later_is_shared_by_both_protocols(api: ApiServer) -> None:
    ports = ({"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "nodePort": 30053})
    spec = make(api, service("shared", *ports, type="NodePort"))
    assert [port["nodePort"] for port in spec["ports"]] == [30053, 30053]


@pytest.mark.parametrize(
    ("given", "field", "text"),
    [
        (
            {"clusterIP": "1.2.3.4"},
            "spec.clusterIPs",
            'Invalid value: ["1.2.3.4"]: failed to allocate IP 1.2.3.4: the provided network does not match the '
            "current range",
        ),
        (
            {"clusterIP": "10.96.255.255"},
            "spec.clusterIPs",
            'Invalid value: ["10.96.255.255"]: failed to allocate IP 10.96.255.255: the provided IP (10.96.255.255) is '
            "not in the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            "spec.ipFamilyPolicy",
            'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
        ),
    ],
)
def test_what_the_cluster_cannot_give_is_refused(api: ApiServer, given: dict[str, Any], field: str, text: str) -> None:
    answer = api.http.post(SERVICES, json=service("refused", **given))
    causes = answer.json()["details"]["causes"]
    assert (answer.status_code, causes) == (422, [{"reason": "FieldValueInvalid", "message": text, "field": field}])


def test_a_refused_service_leaves_no_claim(api: ApiServer) -> None:
    make(api, service("there"))
    answer = api.http.post(SERVICES, json=service("there", {"port": 1, "nodePort": 32111}, type="NodePort"))
    assert answer.status_code == 409
    bad = service("bad", {"port": 1, "nodePort": 32111}, {"port": 2, "name": "b", "nodePort": 5}, type="NodePort")
    assert api.http.post(SERVICES, json=bad).status_code == 422
    answer = api.http.post(
        f"{SERVICES}?dryRun=All", json=service("dry", {"port": 1, "nodePort": 32111}, type="NodePort")
    )
    assert answer.status_code == 201
    make(api, service("good", {"port": 1, "nodePort": 32111}, type="NodePort"))


def test_two_servers_never_give_the_same_twice_and_give_all_there_is(pair: tuple[ApiServer, ApiServer]) -> None:
    def create(index: int) -> Any:
        return pair[index % 2].http.post(SERVICES, json=service(f"s-{index}"))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(create, range(40)))
    given = [answer.json()["spec"]["clusterIP"] for answer in answers if answer.status_code == 201]
    assert len(given) == len(set(given)) == 29  # 32 but the network, the broadcast and the kubernetes Service's
    assert all("range is full" in answer.json()["message"] for answer in answers if answer.status_code != 201)
    names = [f"s-{index}" for index, answer in enumerate(answers) if answer.status_code == 201]
    label = f'{{cidr="{RANGE}"}}'
    prefix = "kube_apiserver_clusterip_allocator"
    eventually(lambda: f"{prefix}_available_ips{label} 0.0" in pair[0].http.get("/metrics").text)
    assert f"{prefix}_allocated_ips{label} 30.0" in pair[0].http.get("/metrics").text
    label = label.replace("}", ',scope="dynamic"}')
    for name, expected in (("allocation_total", 29), ("allocation_errors_total", 11)):
        lines = [line for each in pair for line in each.http.get("/metrics").text.splitlines()]
        counts = [line.split()[1] for line in lines if line.startswith(f"{prefix}_{name}{label} ")]
        assert sum(map(float, counts)) == expected, name
    for name in names[:5]:
        pair[0].http.delete(f"{SERVICES}/{name}")
    assert [pair[1].http.post(SERVICES, json=service(f"t-{index}")).status_code for index in range(6)] == [201] * 5 + [
        500
    ]


def test_two_servers_share_the_node_ports(pair: tuple[ApiServer, ApiServer]) -> None:
    def create(index: int) -> Any:
        return pair[index % 2].http.post(SERVICES, json=service(f"n-{index}", type="NodePort"))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(create, range(12)))
    given = {answer.json()["spec"]["ports"][0]["nodePort"] for answer in answers if answer.status_code == 201}
    assert given == set(range(31000, 31010))
    eventually(lambda: "kube_apiserver_nodeport_allocator_available_ports 0.0" in pair[0].http.get("/metrics").text)


CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
FLAG = "--service-cluster-ip-range"


def test_a_further_range_gives_addresses_when_the_first_is_full(pair: tuple[ApiServer, ApiServer]) -> None:
    one, two = pair
    for index in range(29):
        make(one, service(f"s-{index}"))
    refused = two.http.post(SERVICES, json=service("more"))
    assert (refused.status_code, "range is full" in refused.text) == (500, True)
    answer = one.http.post(CIDRS, json={"metadata": {"name": "more"}, "spec": {"cidrs": ["10.51.0.0/30"]}})
    assert answer.status_code == 201
    eventually(lambda: two.http.post(SERVICES, json=service("more")).status_code == 201, "the other server knows")
    given = make(one, service("last"))["clusterIP"]
    parent = one.http.get(f"{ADDRESSES}/{given}").json()["spec"]["parentRef"]
    assert parent == {"resource": "services", "namespace": "default", "name": "last"}


def test_a_deleted_range_stays_while_services_have_addresses_of_it(tmp_path: Path) -> None:
    only = "--controllers=service-cidr-controller"
    with EtcdServer(tmp_path) as etcd, ApiServer(tmp_path / "api", etcd.url) as api:
        with controller_manager(api.url, tmp_path / "manager", only):
            api.http.post(CIDRS, json={"metadata": {"name": "more"}, "spec": {"cidrs": ["10.51.0.0/28"]}})

            def ready() -> tuple[str, str] | None:
                conditions = api.http.get(f"{CIDRS}/more").json()["status"].get("conditions")
                return conditions and (conditions[0]["status"], conditions[0]["reason"])

            eventually(lambda: ready() == ("True", ""), "the range is ready")
            make(api, service("held", clusterIP="10.51.0.5"))
            assert api.http.delete(f"{CIDRS}/more").status_code == 200
            eventually(lambda: ready() == ("False", "Terminating"), "the range waits for its Service")
            refused = api.http.post(SERVICES, json=service("late", clusterIP="10.51.0.6"))
            assert (refused.status_code, "does not match the current range" in refused.text) == (422, True)


def test_addresses_of_both_families(tmp_path: Path) -> None:
    flag = f"{FLAG}=10.50.0.0/24,fd00:50::/108"
    with EtcdServer(tmp_path) as etcd, ApiServer(tmp_path / "api", etcd.url, flag) as api:
        assert api.http.get(f"{CIDRS}/kubernetes").json()["spec"]["cidrs"] == ["10.50.0.0/24", "fd00:50::/108"]
        assert make(api, service("single"))["ipFamilies"] == ["IPv4"]
        spec = make(api, service("both", ipFamilyPolicy="PreferDualStack"))
        assert [ip_address(address).version for address in spec["clusterIPs"]] == [4, 6]
        assert (spec["clusterIP"], spec["ipFamilies"]) == (spec["clusterIPs"][0], ["IPv4", "IPv6"])
        six = make(api, service("six", ipFamilies=["IPv6"], clusterIP="fd00:50::66"))
        assert (six["clusterIPs"], six["ipFamilyPolicy"]) == (["fd00:50::66"], "SingleStack")

        def patch(name: str, spec: dict[str, Any]) -> Any:
            return api.http.patch(f"{SERVICES}/{name}", json={"spec": spec}, headers=MERGE).json()["spec"]

        def held(address: str) -> bool:
            return api.http.get(f"{ADDRESSES}/{address}").status_code == 200

        upgraded = patch("six", {"ipFamilyPolicy": "RequireDualStack"})
        assert (upgraded["clusterIPs"][0], upgraded["ipFamilies"]) == ("fd00:50::66", ["IPv6", "IPv4"])
        second = upgraded["clusterIPs"][1]
        assert held(second)
        assert patch("six", {"ipFamilyPolicy": "SingleStack"})["clusterIPs"] == ["fd00:50::66"]
        assert not held(second)
        patch("both", {"type": "ExternalName", "externalName": "a.example", "selector": None})
        assert not any(map(held, spec["clusterIPs"]))
        api.http.delete(f"{SERVICES}/six")
        assert not held("fd00:50::66")
        kept = make(api, service("kept", ipFamilyPolicy="PreferDualStack"))
        with ApiServer(tmp_path / "four", etcd.url, f"{FLAG}=10.50.0.0/24") as four:
            labels = {"metadata": {"labels": {"a": "b"}}}
            answer = four.http.patch(f"{SERVICES}/kept", json=labels, headers=MERGE)
            assert (answer.status_code, answer.json()["spec"]) == (200, kept), "a family that is gone may stay"
            assert four.http.delete(f"{SERVICES}/kept").status_code == 200


def test_a_start_repairs_what_earlier_servers_have_left(tmp_path: Path) -> None:
    """A Service of a version that kept no IPAddresses, and addresses whose server died before it wrote the Service."""
    with EtcdServer(tmp_path) as etcd:
        with ApiServer(tmp_path / "one", etcd.url) as api:
            make(api, service("old", clusterIP="10.96.0.50"))
            make(api, service("gone", clusterIP="10.96.0.51"))
            leaked = api.http.get(f"{ADDRESSES}/10.96.0.51").json()
        keys = "/registry/ipaddresses/"
        del leaked["metadata"]["resourceVersion"], leaked["metadata"]["managedFields"]
        leaked["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
        leaked["spec"]["parentRef"]["name"] = "never-written"
        etcdctl(etcd, "del", f"{keys}10.96.0.50")
        text = json.dumps(leaked, separators=(",", ":")).replace("10.96.0.51", "10.96.0.99")
        etcdctl(etcd, "put", f"{keys}10.96.0.99", text)
        with ApiServer(tmp_path / "two", etcd.url) as api:
            assert api.http.get(f"{ADDRESSES}/10.96.0.50").json()["spec"]["parentRef"]["name"] == "old"
            assert api.http.get(f"{ADDRESSES}/10.96.0.51").status_code == 200
            assert api.http.get(f"{ADDRESSES}/10.96.0.99").status_code == 404
            events = api.http.get("/api/v1/namespaces/default/events").json()["items"]
    assert {(event["reason"], event["message"]) for event in events} == {
        ("ClusterIPNotAllocated", "Cluster IP [IPv4]: 10.96.0.50 is not allocated; repairing"),
        (
            "IPAddressNotAllocated",
            "IPAddress: 10.96.0.99 for Service default/never-written appears to have leaked: cleaning up",
        ),
    }


def etcdctl(etcd: EtcdServer, *command: str) -> None:
    subprocess.run(["etcdctl", "--endpoints", etcd.url, *command], check=True, env={**os.environ, "ETCDCTL_API": "3"})
