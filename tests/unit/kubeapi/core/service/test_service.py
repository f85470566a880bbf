# ruff: noqa: E501  (tables of messages)
from collections.abc import Sequence
from typing import Any

import pytest

from apimachinery.model import to_dict
from apimachinery.names import dns_label_errors
from kubeapi.core.service.allocation import choose_families
from kubeapi.core.service.resource import RESOURCE as SERVICES
from tests.kits.kinds import A_DAY_AGO, created, headers, load, merged, problems, row, status_problems, update_problems

PORT = {"port": 80}


def service(spec: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    base = {
        "metadata": {"name": "web", "namespace": "default", "creationTimestamp": A_DAY_AGO},
        "spec": {"ports": [PORT], "selector": {"app": "web"}},
    }
    return merged(merged(base, {"spec": spec or {}}), top)


DEFAULTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # (given, what is in the result, None for absent)
    (
        {},
        {
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "externalTrafficPolicy": None,
        },
    ),
    ({}, {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}),
    (
        {"ports": [{"port": 80, "targetPort": "http"}]},
        {"ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}]},
    ),
    (
        {"ports": [{"port": 80, "protocol": "", "targetPort": 0}]},
        {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]},
    ),
    ({"sessionAffinity": "ClientIP"}, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}),
    (
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}},
        {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}},
    ),
    ({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}}, {"sessionAffinityConfig": None}),
    ({"type": "NodePort"}, {"externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": None}),
    ({"type": "LoadBalancer"}, {"externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": True}),
    ({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, {"allocateLoadBalancerNodePorts": False}),
    ({"externalIPs": ["1.2.3.4"]}, {"externalTrafficPolicy": "Cluster"}),
    (
        {"type": "ExternalName", "externalName": "a.example"},
        {"internalTrafficPolicy": None, "externalTrafficPolicy": None},
    ),
]


@pytest.mark.parametrize(("given", "expected"), DEFAULTS)
def test_defaults_of_each_service_type(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = to_dict(load(SERVICES, service(given)).spec)
    assert {name: found.get(name) for name in expected} == expected


BOTH = ["IPv4", "IPv6"]


def chosen(
    given: dict[str, Any], old: dict[str, Any] | None = None, configured: Sequence[str] = ("IPv4",)
) -> tuple[dict[str, Any], list[str]]:
    """The spec once its address families are chosen, and the errors."""
    obj = created(SERVICES, service(given))
    errors = choose_families(obj, None if old is None else created(SERVICES, service(old)), configured)
    return to_dict(obj.spec), [str(error) for error in errors]


@pytest.mark.parametrize(
    ("given", "ips", "families", "policy"),
    [
        ({}, None, ["IPv4"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, None, ["IPv4"], "PreferDualStack"),
        ({"clusterIP": "10.96.0.9"}, ["10.96.0.9"], ["IPv4"], "SingleStack"),
        ({"clusterIP": "None"}, ["None"], ["IPv4"], "SingleStack"),
        ({"clusterIP": "None", "selector": None}, ["None"], BOTH, "RequireDualStack"),
        ({"clusterIP": "None", "selector": None, "ipFamilies": ["IPv6"]}, ["None"], BOTH[::-1], "RequireDualStack"),
        ({"clusterIP": "None", "selector": None, "ipFamilyPolicy": "SingleStack"}, ["None"], ["IPv4"], "SingleStack"),
    ],
)
def test_families_follow_from_what_is_given(
    given: dict[str, Any], ips: list[str] | None, families: list[str], policy: str
) -> None:
    spec, errors = chosen(given)
    assert (spec.get("clusterIPs"), spec["ipFamilies"], spec["ipFamilyPolicy"]) == (ips, families, policy)
    assert errors == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"clusterIP": "fd00::1"},
            ['spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster'],
        ),
        ({"ipFamilies": ["IPv6"]}, ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster']),
        (
            {"clusterIP": "None", "ipFamilies": ["IPv6"]},
            ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'],
        ),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            [
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services'
            ],
        ),
        (
            {"ipFamilies": BOTH},
            [
                "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"
            ],
        ),
    ],
)
def test_families_that_the_cluster_lacks_are_refused(given: dict[str, Any], expected: list[str]) -> None:
    assert chosen(given)[1] == expected


def test_a_second_family_is_given_back_by_the_policy_alone() -> None:
    old = {"clusterIP": "None", "selector": None, "ipFamilyPolicy": "RequireDualStack", "ipFamilies": BOTH}
    single = {**old, "ipFamilyPolicy": "SingleStack"}
    spec, errors = chosen(single, old)
    assert (spec["ipFamilies"], errors) == (["IPv4"], [])
    assert chosen({**old, "ipFamilies": ["IPv4"]}, old)[1] == [
        "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary IP family"
    ]


@pytest.mark.parametrize(
    ("given", "families", "policy"),
    [
        ({}, ["IPv6"], "SingleStack"),
        ({"ipFamilies": ["IPv4"]}, ["IPv4"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, BOTH[::-1], "PreferDualStack"),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4"]}, BOTH, "RequireDualStack"),
        ({"ipFamilyPolicy": "RequireDualStack", "clusterIP": "10.96.0.9"}, BOTH, "RequireDualStack"),
        ({"clusterIP": "10.96.0.9"}, ["IPv4"], "SingleStack"),
        ({"clusterIP": "None"}, ["IPv6"], "SingleStack"),
        ({"clusterIP": "None", "ipFamilyPolicy": "PreferDualStack"}, BOTH[::-1], "PreferDualStack"),
        ({"clusterIP": "None", "selector": None}, BOTH[::-1], "RequireDualStack"),
    ],
)
def test_families_on_a_cluster_of_both_that_prefers_ipv6(
    given: dict[str, Any], families: list[str], policy: str
) -> None:
    spec, errors = chosen(given, configured=BOTH[::-1])
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"], errors) == (families, policy, [])


def test_a_service_of_a_cluster_that_becomes_dual_stack_keeps_what_it_has_unless_it_asks() -> None:
    old = {"clusterIP": "10.96.0.9", "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4"]}
    assert chosen({**old, "selector": {"app": "other"}}, old, BOTH)[0]["ipFamilies"] == ["IPv4"]
    assert chosen({**old, "ipFamilyPolicy": "RequireDualStack"}, old, BOTH)[0]["ipFamilies"] == BOTH
    single = {**old, "ipFamilyPolicy": "SingleStack"}
    assert chosen(old, single, BOTH)[0]["ipFamilies"] == BOTH


def test_a_second_address_may_be_added_and_released_but_not_changed() -> None:
    one = {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4"]}
    both = {
        "clusterIP": "10.96.0.9",
        "clusterIPs": ["10.96.0.9", "fd00::9"],
        "ipFamilies": BOTH,
        "ipFamilyPolicy": "RequireDualStack",
    }
    other = {**both, "clusterIPs": ["10.96.0.9", "fd00::8"]}
    assert update_problems(SERVICES, service(one), service(both)) == []
    assert update_problems(SERVICES, service(both), service({**one, "ipFamilyPolicy": "SingleStack"})) == []
    assert update_problems(SERVICES, service(both), service(other)) == [
        'spec.clusterIPs[1]: Invalid value: ["10.96.0.9","fd00::8"]: may not change once set'
    ]


RANGE = "must be between 1 and 65535, inclusive"
VALIDATION: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"ports": []}, ["spec.ports: Required value"]),
    ({"ports": [], "clusterIP": "None"}, []),
    (
        {"type": "Public"},
        [
            'spec.type: Unsupported value: "Public": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
        ],
    ),
    (
        {"type": "NodePort", "clusterIP": "None"},
        ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
    ),
    (
        {"type": "LoadBalancer", "clusterIP": "None"},
        ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"],
    ),
    (
        {"clusterIP": "x"},
        ['spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ),
    (
        {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.2"]},
        ['spec.clusterIPs: Invalid value: ["10.96.0.2"]: first value must match `clusterIP`'],
    ),
    (
        {"clusterIPs": ["10.96.0.2"]},
        ['spec.clusterIPs: Invalid value: ["10.96.0.2"]: must be empty when `clusterIP` is not specified'],
    ),
    ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
    ({"type": "ExternalName", "externalName": "a.example."}, []),
    (
        {"type": "ExternalName", "externalName": "a.example", "clusterIP": "10.96.0.1"},
        ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
    ),
    (
        {"ports": [{"port": 0}]},
        [f"spec.ports[0].port: Invalid value: 0: {RANGE}", f"spec.ports[0].targetPort: Invalid value: 0: {RANGE}"],
    ),
    ({"ports": [{"port": 70000, "targetPort": 1}]}, [f"spec.ports[0].port: Invalid value: 70000: {RANGE}"]),
    ({"ports": [{"port": 80, "targetPort": 70000}]}, [f"spec.ports[0].targetPort: Invalid value: 70000: {RANGE}"]),
    (
        {"ports": [{"port": 80, "targetPort": "a_b"}]},
        [
            'spec.ports[0].targetPort: Invalid value: "a_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)'
        ],
    ),
    (
        {"ports": [{"port": 80, "protocol": "HTTP"}]},
        ['spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
    ),
    ({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}, ["spec.ports[0].name: Required value"]),
    ({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}, ['spec.ports[1].name: Duplicate value: "a"']),
    (
        {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
        ['spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}'],
    ),
    ({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b", "protocol": "UDP"}]}, []),
    (
        {"ports": [{"port": 80, "nodePort": 30000}]},
        ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ),
    (
        {
            "type": "NodePort",
            "ports": [{"port": 80, "nodePort": 30000, "name": "a"}, {"port": 81, "nodePort": 30000, "name": "b"}],
        },
        ["spec.ports[1].nodePort: Invalid value: 30000: provided port is already allocated"],
    ),
    (
        {
            "type": "NodePort",
            "ports": [
                {"port": 80, "nodePort": 30000, "name": "a"},
                {"port": 80, "nodePort": 30000, "name": "b", "protocol": "UDP"},
            ],
        },
        [],
    ),
    (
        {"sessionAffinity": "Cookie"},
        ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'],
    ),
    (
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}},
        [
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400"
        ],
    ),
    (
        {"externalIPs": ["x"]},
        ['spec.externalIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ),
    (
        {"externalTrafficPolicy": "Local"},
        ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
    ),
    (
        {"type": "NodePort", "externalTrafficPolicy": "Near"},
        ['spec.externalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"'],
    ),
    (
        {"internalTrafficPolicy": "Near"},
        ['spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"'],
    ),
    (
        {"trafficDistribution": "x"},
        [
            'spec.trafficDistribution: Unsupported value: "x": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"'
        ],
    ),
    (
        {"externalIPs": ["127.0.0.1"]},
        ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ),
    (
        {"allocateLoadBalancerNodePorts": False},
        ["spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ),
    (
        {"healthCheckNodePort": 30000},
        [
            "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        ],
    ),
    (
        {"ipFamilyPolicy": "x"},
        [
            'spec.ipFamilyPolicy: Unsupported value: "x": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"'
        ],
    ),
    ({"ipFamilies": ["IPv5"]}, ['spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"']),
    ({"ipFamilies": ["IPv4", "IPv4"]}, ['spec.ipFamilies[1]: Duplicate value: "IPv4"']),
    (
        {"clusterIP": "10.96.0.1", "ipFamilies": ["IPv6"]},
        ['spec.clusterIPs[0]: Invalid value: "10.96.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`'],
    ),
    (
        {"loadBalancerClass": "a/b"},
        ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ),
    (
        {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
        ["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ),
    (
        {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"]},
        [
            'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), VALIDATION)
def test_each_fault_of_a_service_is_named(spec: dict[str, Any], expected: list[str]) -> None:
    assert problems(SERVICES, service(spec)) == expected


def test_a_bad_selector_is_named() -> None:
    found = problems(SERVICES, service({"selector": {"app": "a b"}}))
    assert len(found) == 1
    assert found[0].startswith('spec.selector: Invalid value: "a b": a valid label must be')


def test_the_name_is_a_dns_label() -> None:
    assert SERVICES.strategy.validate_name("1-web") == []
    assert SERVICES.strategy.validate_name("web_") == dns_label_errors("web_")


HAD = {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"]}


FAMILIES = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}


def after_update(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    before, after = load(SERVICES, service(old)), load(SERVICES, service(new))
    SERVICES.strategy.prepare_update(after, before)
    return to_dict(after.spec)


def test_a_left_out_address_is_kept() -> None:
    found = after_update(HAD, {})
    assert (found["clusterIP"], found["clusterIPs"]) == ("10.96.0.1", ["10.96.0.1"])


def test_an_address_may_not_change() -> None:
    text = 'spec.clusterIPs[0]: Invalid value: ["10.96.0.2"]: may not change once set'
    assert update_problems(SERVICES, service(HAD), service({**HAD, "clusterIP": "10.96.0.2"})) == [text]


def test_a_headless_service_stays_headless() -> None:
    text = 'spec.clusterIPs[0]: Invalid value: ["10.96.0.2"]: may not change once set'
    assert update_problems(SERVICES, service({"clusterIP": "None"}), service({"clusterIP": "10.96.0.2"})) == [text]


@pytest.mark.parametrize(
    ("old", "new", "gone"),
    [
        (
            {"type": "NodePort", "externalTrafficPolicy": "Local"},
            {"type": "ClusterIP", "externalTrafficPolicy": "Local"},
            "externalTrafficPolicy",
        ),
        (
            {"type": "LoadBalancer"},
            {"type": "NodePort", "allocateLoadBalancerNodePorts": True},
            "allocateLoadBalancerNodePorts",
        ),
        (
            {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
            {"type": "NodePort", "loadBalancerClass": "a/b"},
            "loadBalancerClass",
        ),
        (
            {},
            {"type": "ExternalName", "externalName": "a.b", "internalTrafficPolicy": "Cluster"},
            "internalTrafficPolicy",
        ),
        (
            {"clusterIP": "10.96.0.1", **FAMILIES},
            {"type": "ExternalName", "externalName": "a.b", **FAMILIES},
            "ipFamilies",
        ),
        (
            {"clusterIP": "10.96.0.1", **FAMILIES},
            {"type": "ExternalName", "externalName": "a.b", **FAMILIES},
            "ipFamilyPolicy",
        ),
    ],
)
def test_what_the_old_type_needed_goes_with_it(old: dict[str, Any], new: dict[str, Any], gone: str) -> None:
    assert gone not in after_update(old, new)


@pytest.mark.parametrize(
    ("node_ports", "left"), [([None, 30002], [None, None]), ([30001, None, 30002], [None] * 3), ([30002, 30003], None)]
)
def test_node_ports_go_with_the_type_unless_a_new_one_is_asked_for(
    node_ports: list[int | None], left: list[int | None] | None
) -> None:
    def ports(numbers: list[int | None]) -> list[dict[str, Any]]:
        return [{"name": f"p{index}", "port": 80 + index, "nodePort": number} for index, number in enumerate(numbers)]

    old = {"type": "NodePort", "ports": ports([30001, 30002])}
    spec = after_update(old, {"type": "ClusterIP", "ports": ports(node_ports)})
    assert [port.get("nodePort") for port in spec["ports"]] == (left or node_ports)


def test_a_class_is_for_good() -> None:
    old = service({"type": "LoadBalancer", "loadBalancerClass": "a/b"})
    new = service({"type": "LoadBalancer", "loadBalancerClass": "a/c"})
    text = 'spec.loadBalancerClass: Invalid value: "a/c": may not change once set'
    assert update_problems(SERVICES, old, new) == [text]


@pytest.mark.parametrize(
    ("ingress", "expected"),
    [
        ({"ip": "1.2.3.4"}, []),
        ({"ip": "x"}, ['.ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']),
        ({"hostname": "1.2.3.4"}, ['.hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address']),
        ({"ip": "1.2.3.4", "ipMode": "x"}, ['.ipMode: Unsupported value: "x": supported values: "Proxy", "VIP"']),
    ],
)
def test_each_fault_of_a_service_status_is_named(ingress: dict[str, str], expected: list[str]) -> None:
    new = service(status={"loadBalancer": {"ingress": [ingress]}})
    at = "status.loadBalancer.ingress[0]"
    assert status_problems(SERVICES, service(), new) == [at + text for text in expected]


def test_columns_are_kubectls() -> None:
    assert headers(SERVICES, wide=False) == ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"]
    assert headers(SERVICES, wide=True) == ["Selector"]


LB = {"type": "LoadBalancer", "clusterIP": "10.96.0.1"}
COLUMNS: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str, str, str, str]]] = [
    # (spec, status, (type, cluster IP, external IP, ports, selector))
    ({"clusterIP": "10.96.0.1"}, {}, ("ClusterIP", "10.96.0.1", "<none>", "80/TCP", "app=web")),
    ({"clusterIP": "None", "ports": []}, {}, ("ClusterIP", "None", "<none>", "<none>", "app=web")),
    (
        {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]},
        {},
        ("NodePort", "<none>", "<none>", "80:30080/TCP,53/UDP", "app=web"),
    ),
    (
        {"type": "ExternalName", "externalName": "a.example", "ports": [], "selector": None},
        {},
        ("ExternalName", "<none>", "a.example", "<none>", "<none>"),
    ),
    ({"externalIPs": ["1.1.1.1", "2.2.2.2"]}, {}, ("ClusterIP", "<none>", "1.1.1.1,2.2.2.2", "80/TCP", "app=web")),
    (LB, {}, ("LoadBalancer", "10.96.0.1", "<pending>", "80/TCP", "app=web")),
    (
        LB,
        {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "lb.example"}]}},
        ("LoadBalancer", "10.96.0.1", "1.1.1.1,lb.example", "80/TCP", "app=web"),
    ),
    (
        {**LB, "externalIPs": ["2.2.2.2"]},
        {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}},
        ("LoadBalancer", "10.96.0.1", "1.1.1.1,2.2.2.2", "80/TCP", "app=web"),
    ),
]


@pytest.mark.parametrize(("spec", "status", "expected"), COLUMNS)
def test_what_the_columns_of_a_service_show(
    spec: dict[str, Any], status: dict[str, Any], expected: tuple[str, ...]
) -> None:
    cells = row(SERVICES, service(spec, status=status))
    names = ("Type", "Cluster-IP", "External-IP", "Port(s)", "Selector")
    assert tuple(cells[name] for name in names) == expected
    assert (cells["Name"], cells["Age"]) == ("web", "24h")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        (
            {"externalIPs": ["1.2.3.4"]},
            ["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
        ),
        (
            {"trafficDistribution": "PreferClose"},
            ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'],
        ),
        (
            {"clusterIP": "None", "sessionAffinity": "ClientIP"},
            ["spec.SessionAffinity is ignored for headless services"],
        ),
        ({"externalName": "a.example"}, ['spec.externalName is ignored when spec.type is not "ExternalName"']),
    ],
)
def test_a_service_warns_of_what_is_old_or_ignored(spec: dict[str, Any], expected: list[str]) -> None:
    obj = load(SERVICES, service(spec))
    assert SERVICES.strategy.create_warnings(obj) == SERVICES.strategy.update_warnings(obj, obj) == expected
