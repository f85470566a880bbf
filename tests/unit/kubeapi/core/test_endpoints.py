# ruff: noqa: E501  (tables of messages)
from typing import Any

import pytest

from kubeapi.core.endpoints import RESOURCE as ENDPOINTS
from kubeapi.discovery.endpointslice import RESOURCE as SLICES
from tests.kits.kinds import created, headers, load, merged, problems, row, update_problems

IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
PORT = "must be between 1 and 65535, inclusive"


def endpoints(*subsets: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "default"}, "subsets": list(subsets)}


ONE = {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}
SUBSETS: list[tuple[dict[str, Any], list[str]]] = [
    (ONE, []),
    ({"ports": [{"port": 80}]}, [": Required value: must specify `addresses` or `notReadyAddresses`"]),
    ({"notReadyAddresses": [{"ip": "10.0.0.1"}]}, []),
    (
        {"addresses": [{"ip": "x"}]},
        [
            f'.addresses[0].ip: Invalid value: "x": {IP}',
            '.addresses[0].ip: Invalid value: "x": must be a valid IP address',
        ],
    ),
    (
        {"addresses": [{"ip": "010.1.0.01"}]},
        ['.addresses[0].ip: Invalid value: "010.1.0.01": must not have leading 0s'],
    ),
    (
        {"addresses": [{"ip": "::ffff:10.0.0.1"}]},
        ['.addresses[0].ip: Invalid value: "::ffff:10.0.0.1": must not be an IPv4-mapped IPv6 address'],
    ),
    (
        {"addresses": [{"ip": "0.0.0.0"}]},
        ['.addresses[0].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0 or ::)'],
    ),
    (
        {"addresses": [{"ip": "127.0.0.1"}]},
        ['.addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ),
    (
        {"notReadyAddresses": [{"ip": "169.254.1.1"}]},
        [
            '.notReadyAddresses[0].ip: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)'
        ],
    ),
    (
        {"addresses": [{"ip": "224.0.0.1"}]},
        [
            '.addresses[0].ip: Invalid value: "224.0.0.1": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'
        ],
    ),
    ({**ONE, "ports": [{"port": 0}]}, [f".ports[0].port: Invalid value: 0: {PORT}"]),
    (
        {**ONE, "ports": [{"port": 80, "protocol": "x"}]},
        ['.ports[0].protocol: Unsupported value: "x": supported values: "SCTP", "TCP", "UDP"'],
    ),
    ({**ONE, "ports": [{"port": 80}, {"port": 81, "name": "b"}]}, [".ports[0].name: Required value"]),
]


@pytest.mark.parametrize(("subset", "expected"), SUBSETS)
def test_each_fault_of_endpoints_is_named(subset: dict[str, Any], expected: list[str]) -> None:
    assert problems(ENDPOINTS, endpoints(subset)) == [f"subsets[0]{text}" for text in expected]


def test_endpoints_default_their_protocol() -> None:
    found = load(ENDPOINTS, endpoints({**ONE, "ports": [{"port": 80, "protocol": ""}]}))
    assert found.subsets[0].ports[0].protocol == "TCP"


ADDRESSES = [{"ip": f"10.0.0.{number}"} for number in range(1, 6)]


@pytest.mark.parametrize(
    ("subsets", "shown"),
    [
        ([], "<none>"),
        ([ONE], "10.0.0.1:80"),
        ([{"addresses": ADDRESSES[:2]}], "10.0.0.1,10.0.0.2"),
        (
            [{"addresses": ADDRESSES[:2], "ports": [{"port": 80}, {"port": 81}]}],
            "10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more...",
        ),
        ([{"addresses": ADDRESSES, "ports": [{"port": 80}]}], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."),
        ([{"notReadyAddresses": ADDRESSES, "ports": [{"port": 80}]}], "<none>"),
        ([{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}], "[fd00::1]:80"),
    ],
)
def test_endpoints_columns(subsets: list[dict[str, Any]], shown: str) -> None:
    assert headers(ENDPOINTS, wide=False) == ["Name", "Endpoints", "Age"]
    assert row(ENDPOINTS, endpoints(*subsets))["Endpoints"] == shown


def endpoint_slice(**change: Any) -> dict[str, Any]:
    base = {
        "metadata": {"name": "web-abc", "namespace": "default"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"port": 80, "name": "http"}],
    }
    return merged(base, change)


SLICE_CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"addressType": None}, ["addressType: Required value"]),
    (
        {"addressType": "IPv5", "endpoints": []},
        ['addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"'],
    ),
    ({"endpoints": [{}]}, ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
    (
        {"endpoints": [{"addresses": ["fd00::1"]}]},
        ['endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address'],
    ),
    (
        {"endpoints": [{"addresses": ["127.0.0.1"]}]},
        [
            'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'
        ],
    ),
    ({"addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}]}, []),
    (
        {"endpoints": [{"addresses": ["10.0.0.1"] * 101}]},
        ["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
    ),
    ({"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001}, ["endpoints: Too many: 1001: must have at most 1000 items"]),
    (
        {"endpoints": [{"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}}]},
        ['endpoints[0].hints.forZones[1].name: Duplicate value: "a"'],
    ),
    ({"ports": [{"port": 80}, {"port": 81}]}, ['ports[1].name: Duplicate value: ""']),
    ({"ports": [{"port": 0}]}, [f"ports[0].port: Invalid value: 0: {PORT}"]),
    ({"ports": [{}]}, []),
    (
        {"ports": [{"protocol": "x"}]},
        ['ports[0].protocol: Unsupported value: "x": supported values: "SCTP", "TCP", "UDP"'],
    ),
    ({"ports": None}, []),
]


@pytest.mark.parametrize(("change", "expected"), SLICE_CASES)
def test_each_fault_of_an_endpointslice_is_named(change: dict[str, Any], expected: list[str]) -> None:
    assert problems(SLICES, endpoint_slice(**change)) == expected


def test_ports_of_a_slice_have_a_name_and_a_protocol() -> None:
    port = load(SLICES, endpoint_slice(ports=[{"port": 80}])).ports[0]
    assert (port.name, port.protocol) == ("", "TCP")


def test_the_address_type_is_immutable() -> None:
    new = endpoint_slice(addressType="IPv6", endpoints=[])
    assert update_problems(SLICES, endpoint_slice(), new) == ['addressType: Invalid value: "IPv6": field is immutable']


@pytest.mark.parametrize(
    ("change", "generation"),
    [
        ({}, 4),
        ({"endpoints": []}, 5),
        ({"ports": []}, 5),
        ({"metadata": {"annotations": {"a": "b"}}}, 4),
    ],
)
def test_the_generation_counts_changes_of_endpoints(change: dict[str, Any], generation: int) -> None:
    assert created(SLICES, endpoint_slice()).metadata.generation == 1
    old = load(SLICES, endpoint_slice(metadata={"generation": 4}))
    new = load(SLICES, merged(endpoint_slice(metadata={"generation": 4}), change))
    SLICES.strategy.prepare_update(new, old)
    assert new.metadata.generation == generation


@pytest.mark.parametrize(
    ("change", "ports", "shown"),
    [
        ({}, "80", "10.0.0.1"),
        ({"ports": None, "endpoints": []}, "<unset>", "<unset>"),
        ({"ports": [{"name": "a"}, {}, {"port": 1}, {"port": 2}]}, "a,*,1 + 1 more...", "10.0.0.1"),
        (
            {"endpoints": [{"addresses": [f"10.0.0.{number}"]} for number in range(1, 6)]},
            "80",
            "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...",
        ),
    ],
)
def test_slice_columns(change: dict[str, Any], ports: str, shown: str) -> None:
    assert headers(SLICES, wide=False) == ["Name", "AddressType", "Ports", "Endpoints", "Age"]
    cells = row(SLICES, endpoint_slice(**change))
    assert (cells["AddressType"], cells["Ports"], cells["Endpoints"]) == ("IPv4", ports, shown)


def test_the_topology_of_the_beta_version_is_dropped() -> None:
    endpoint = {"addresses": ["10.0.0.1"], "deprecatedTopology": {"kubernetes.io/hostname": "n"}}
    assert created(SLICES, endpoint_slice(endpoints=[endpoint])).endpoints[0].deprecatedTopology is None


def test_slices_of_names_are_deprecated() -> None:
    warnings = SLICES.strategy.create_warnings
    assert warnings(load(SLICES, endpoint_slice(addressType="FQDN"))) == [
        "spec.addressType: FQDN endpoints are deprecated"
    ]
    assert warnings(load(SLICES, endpoint_slice())) == []
