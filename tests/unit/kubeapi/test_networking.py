"""NetworkPolicy, Ingress and IngressClass: what the golden cases leave out."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import to_dict
from kubeapi.networking.ingress import RESOURCE as INGRESSES
from kubeapi.networking.ingressclass import RESOURCE as CLASSES
from kubeapi.networking.networkpolicy import RESOURCE as POLICIES
from tests.kits.kinds import load, problems, row, status_problems

Dict = dict[str, Any]

META = {"name": "x", "namespace": "ns"}
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
STRICT = "must be a strict subset of `cidr`"


def policy(**spec: Any) -> Dict:
    return {"metadata": META, "spec": {"podSelector": {}, **spec}}


def ingress(*paths: Dict, **spec: Any) -> Dict:
    rules = [{"http": {"paths": [{"pathType": "Prefix", "backend": BACKEND, **path} for path in paths]}}]
    return {"metadata": META, "spec": {"rules": rules, **spec}}


@pytest.mark.parametrize(
    ("cidr", "hole", "right"),
    [
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.0.0.0/8", "0.0.0.0/0", False),
        ("10.0.0.0/8", "2001:db8::/64", False),
        ("2001:db8::/32", "2001:db8:1::/48", True),
    ],
)
def test_holes_of_a_block_are_inside_it(cidr: str, hole: str, right: bool) -> None:
    found = problems(POLICIES, policy(egress=[{"to": [{"ipBlock": {"cidr": cidr, "except": [hole]}}]}]))
    where = "spec.egress[0].to[0].ipBlock.except[0]"
    assert found == ([] if right else [f'{where}: Invalid value: "{hole}": {STRICT}'])


def test_words_of_python_are_fields_like_others() -> None:
    peers = [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]
    obj = load(POLICIES, policy(ingress=[{"from": peers}]))
    assert to_dict(obj.clone())["spec"]["ingress"] == [{"from": peers}]
    assert to_dict(load(POLICIES, policy(ingress=[{"from_": peers}])))["spec"]["ingress"] == [{}]


def test_paths() -> None:
    found = problems(INGRESSES, ingress({"path": "/a/.."}, {"path": "/a/."}, {"path": "/a/./b"}))
    assert [text.split(": ", 3)[-1] for text in found] == [
        "cannot end with '/..'",
        "cannot end with '/.'",
        "must not contain '/./'",
    ]


def test_addresses_of_a_status() -> None:
    addresses = [{"ip": "1.2.3"}, {"hostname": "1.2.3.4"}, {"hostname": "a_b"}, {"ip": "1.2.3.4", "hostname": "a.b"}]
    new = {**ingress({"path": "/"}), "status": {"loadBalancer": {"ingress": addresses}}}
    fields = [text.split(":")[0].removeprefix("status.loadBalancer.") for text in status_problems(INGRESSES, new, new)]
    assert fields == ["ingress[0].ip", "ingress[1].hostname", "ingress[2].hostname"]


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ([None], "*"),
        (["a", None], "a"),
        (["a", "b", "c"], "a,b,c"),
        ([None, "a", "b", "c"], "a,b,c"),
        (["a", None, "b", "c", None], "a,b,c + 2 more..."),
    ],
)
def test_hosts_column(hosts: list[str | None], text: str) -> None:
    rules = [{"host": host} if host else {} for host in hosts]
    assert row(INGRESSES, {"metadata": META, "spec": {"rules": rules}})["Hosts"] == text


def test_controllers_are_paths_below_a_domain() -> None:
    found = problems(CLASSES, {"metadata": {"name": "x"}, "spec": {"controller": "x.example/a b"}})
    assert found == [
        'spec.controller: Invalid value: "a b": Invalid path (regex used for validation is '
        "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
    ]
