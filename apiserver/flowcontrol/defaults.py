"""The flow schemas and priority levels of every cluster. Facts from upstream's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apimachinery.model import from_dict
from kubeapi.core.node import NODE_GROUP
from kubeapi.flowcontrol import flowschema, prioritylevelconfiguration
from kubeapi.flowcontrol._flowcontrol import CATCH_ALL, EXEMPT
from kubeapi.flowcontrol.flowschema import FlowSchema
from kubeapi.flowcontrol.prioritylevelconfiguration import PriorityLevelConfiguration

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = frozenset({EXEMPT, CATCH_ALL})
"""Their spec is always reset to the default. Others keep a user's changes unless AUTO_UPDATE is "true"."""

Dict = dict[str, Any]

ALL_RESOURCES = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
EVERYTHING: Dict = {
    "resourceRules": [ALL_RESOURCES],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}
PROBES: Dict = {"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]}
LEASES = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": ["*"]}
LEADERS: Dict = {"resourceRules": [{**LEASES, "verbs": ["get", "create", "update"]}]}
HEARTBEATS: Dict = {
    "resourceRules": [
        {**ALL_RESOURCES, "apiGroups": [""], "resources": ["nodes", "nodes/status"]},
        {**LEASES, "verbs": ["*"]},
    ]
}


def _users(*names: str) -> list[Dict]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _groups(*names: str) -> list[Dict]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


SYSTEM_ACCOUNTS: list[Dict] = [{"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "kube-system"}}]
ANYONE = _groups("system:unauthenticated", "system:authenticated")


def _schema(name: str, precedence: int, level: str, flows: str, subjects: Sequence[Dict], requests: Dict) -> FlowSchema:
    spec: Dict = {
        "matchingPrecedence": precedence,
        "priorityLevelConfiguration": {"name": level},
        "rules": [{"subjects": list(subjects), **requests}],
    }
    if flows:
        spec["distinguisherMethod"] = {"type": flows}
    schema: FlowSchema = _made(flowschema.RESOURCE, name, spec)
    return schema


def _level(name: str, shares: int, lendable: int, queues: int = 0, hand: int = 0) -> PriorityLevelConfiguration:
    response: Dict = {"type": "Reject"}
    if queues:
        response = {"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 50}}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    spec = {"type": "Limited", "limited": limited}
    level: PriorityLevelConfiguration = _made(prioritylevelconfiguration.RESOURCE, name, spec)
    return level


def _made(resource: Any, name: str, spec: Dict) -> Any:
    document = {"metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}}, "spec": spec}
    obj = from_dict(resource.model, document)
    obj.kind, obj.apiVersion = resource.kind, resource.api_version
    return obj


def default_levels() -> list[PriorityLevelConfiguration]:
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    return [
        _made(prioritylevelconfiguration.RESOURCE, EXEMPT, exempt),
        _level(CATCH_ALL, 5, 0),
        _level("leader-election", 10, 0, queues=16, hand=4),
        _level("node-high", 40, 25, queues=64, hand=6),
        _level("system", 30, 33, queues=64, hand=6),
        _level("workload-high", 40, 50, queues=128, hand=6),
        _level("workload-low", 100, 90, queues=128, hand=6),
        _level("global-default", 20, 50, queues=128, hand=6),
    ]


def default_schemas() -> list[FlowSchema]:
    managers = _users("system:kube-controller-manager", "system:kube-scheduler")
    nodes = _groups(NODE_GROUP)
    return [
        _schema(EXEMPT, 1, EXEMPT, "", _groups("system:masters"), EVERYTHING),
        _schema("probes", 2, EXEMPT, "", ANYONE, PROBES),
        _schema("system-leader-election", 100, "leader-election", "ByUser", [*managers, *SYSTEM_ACCOUNTS], LEADERS),
        _schema("system-node-high", 400, "node-high", "ByUser", nodes, HEARTBEATS),
        _schema("system-nodes", 500, "system", "ByUser", nodes, EVERYTHING),
        _schema("kube-controller-manager", 800, "workload-high", "ByNamespace", managers[:1], EVERYTHING),
        _schema("kube-scheduler", 800, "workload-high", "ByNamespace", managers[1:], EVERYTHING),
        _schema("kube-system-service-accounts", 900, "workload-high", "ByNamespace", SYSTEM_ACCOUNTS, EVERYTHING),
        _schema("service-accounts", 9000, "workload-low", "ByUser", _groups("system:serviceaccounts"), EVERYTHING),
        _schema("global-default", 9900, "global-default", "ByUser", ANYONE, EVERYTHING),
        _schema(CATCH_ALL, 10000, CATCH_ALL, "ByUser", ANYONE, EVERYTHING),
    ]
