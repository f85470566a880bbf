"""How the quotas of a namespace are charged for one request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apiserver.admission.limits._charge import Ledger, NotCovered, QuotaRefusal, QuotaRequest, charge
from apiserver.admission.limits._configuration import read_limited
from componentbase.configfile import ConfigFileError
from kubeapi._evaluators import evaluator_of
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.core.resourcequota.resource import RESOURCE as QUOTAS
from kubeapi.core.service.resource import RESOURCE as SERVICES
from tests.kits.kinds import NOW, load, pod

Dict = dict[str, Any]


def ledger(hard: Dict, used: Dict, name: str = "q", **spec: Any) -> Ledger:
    document = {"metadata": {"name": name}, "spec": spec, "status": {"hard": hard, "used": used}}
    return Ledger.of(load(QUOTAS, document))


def new_pod(cpu: str = "") -> QuotaRequest:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    obj = load(PODS, pod({"containers": [{"name": "c", "image": "i", "resources": resources}]}))
    return request("pods", obj)


def request(plural: str, obj: Any, old: Any = None) -> QuotaRequest:
    evaluator = evaluator_of("", plural)
    assert evaluator is not None
    return QuotaRequest(evaluator, obj, old, NOW)


def service(kind: str) -> Any:
    return load(SERVICES, {"metadata": {"name": "s"}, "spec": {"type": kind, "ports": [{"port": 1}, {"port": 2}]}})


def books(ledgers: list[Ledger], asked: QuotaRequest) -> bool:
    before = [item.used for item in ledgers]
    charge(ledgers, asked)
    return [item.used for item in ledgers] != before


def refusal(ledgers: list[Ledger], asked: QuotaRequest) -> str:
    before = [item.used for item in ledgers]
    with pytest.raises(QuotaRefusal) as error:
        charge(ledgers, asked)
    assert [item.used for item in ledgers] == before
    return str(error.value)


def test_the_use_is_booked_on_each_quota_that_is_about_the_object() -> None:
    both = ledger({"pods": "2", "requests.cpu": "1"}, {"pods": "1", "requests.cpu": "500m"})
    best = ledger({"pods": "1"}, {"pods": "1"}, "best", scopes=["BestEffort"])
    secrets = ledger({"secrets": "0"}, {"secrets": "0"}, "secrets")
    assert books([both, best, secrets], new_pod("500m"))
    assert (both.used, best.used, secrets.used) == ({"pods": "2", "requests.cpu": "1"}, {"pods": "1"}, {"secrets": "0"})


def test_the_requests_of_a_batch_add_up() -> None:
    quota = ledger({"pods": "2"}, {"pods": "0"})
    assert books([quota], new_pod())
    assert books([quota], new_pod())
    assert refusal([quota], new_pod()) == "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"


def test_a_refusal_by_one_quota_books_nothing_on_the_others() -> None:
    wide, narrow = ledger({"pods": "9"}, {"pods": "0"}, "wide"), ledger({"pods": "0"}, {"pods": "0"}, "narrow")
    assert "exceeded quota: narrow" in refusal([wide, narrow], new_pod())


def test_only_what_exceeds_is_named() -> None:
    quota = ledger({"pods": "5", "requests.cpu": "1"}, {"pods": "1", "requests.cpu": "900m"})
    text = "exceeded quota: q, requested: requests.cpu=200m, used: requests.cpu=900m, limited: requests.cpu=1"
    assert refusal([quota], new_pod("200m")) == text


def test_what_must_be_stated_and_known() -> None:
    quota = ledger({"pods": "5", "requests.cpu": "1"}, {"pods": "1", "requests.cpu": "0"})
    assert refusal([quota], new_pod()) == "failed quota: q: must specify requests.cpu for: c"
    unknown = ledger({"pods": "5", "requests.cpu": "1"}, {"pods": "1"})
    assert refusal([unknown], new_pod("1m")) == "status unknown for quota: q, resources: pods,requests.cpu"


def test_a_quota_without_a_status_limits_nothing_yet() -> None:
    assert not books([ledger({}, {})], new_pod())


def test_an_update_is_charged_its_growth_and_gives_nothing_back() -> None:
    quota = ledger({"services": "1", "services.nodeports": "2"}, {"services": "1", "services.nodeports": "0"})
    assert books([quota], request("services", service("NodePort"), service("ClusterIP")))
    assert quota.used == {"services": "1", "services.nodeports": "2"}
    assert not books([quota], request("services", service("ClusterIP"), service("NodePort")))
    assert quota.used == {"services": "1", "services.nodeports": "2"}


def test_an_update_into_the_scope_of_a_quota_is_charged_in_full() -> None:
    quota = ledger({"pods": "1"}, {"pods": "0"}, scopes=["NotBestEffort"])
    assert books([quota], request("pods", new_pod("1").obj, new_pod().obj))
    assert quota.used == {"pods": "1"}


LIMITED = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "ResourceQuotaConfiguration",
    "limitedResources": [
        {"resource": "pods", "matchContains": ["cpu"]},
        {
            "resource": "pods",
            "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high", "top"]}],
        },
    ],
}


def limited_pod(cpu: str = "", priority: str = "") -> QuotaRequest:
    creation = new_pod(cpu)
    creation.obj.spec.priorityClassName = priority or None
    return replace(creation, limited=read_limited(LIMITED))


def test_what_is_limited_needs_a_quota() -> None:
    assert not books([], limited_pod())
    assert refusal([], limited_pod("1")) == "insufficient quota to consume: cpu,requests.cpu"
    hard = {"cpu": "2", "requests.cpu": "2"}
    assert books([ledger(hard, dict.fromkeys(hard, "0"))], limited_pod("1"))
    assert "consume: cpu" in refusal([ledger({"requests.cpu": "2"}, {"requests.cpu": "0"})], limited_pod("1"))
    assert not books([], replace(request("services", service("NodePort")), limited=read_limited(LIMITED)))


def test_a_scope_that_is_limited_needs_a_quota_with_that_scope() -> None:
    with pytest.raises(NotCovered) as error:
        charge([ledger({"pods": "5"}, {"pods": "0"})], limited_pod(priority="high"))
    text = "insufficient quota to match these scopes: [{PriorityClass In [high top]}]"
    assert str(error.value) == text
    assert not books([], limited_pod(priority="low"))
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}
    assert books([ledger({"pods": "5"}, {"pods": "0"}, scopeSelector=selector)], limited_pod(priority="high"))


def test_a_limit_names_its_kind() -> None:
    with pytest.raises(ConfigFileError, match=r"limitedResources\[0\].resource: Required value"):
        read_limited({**LIMITED, "limitedResources": [{"matchContains": ["cpu"]}]})
