"""Which schema a request belongs to, by the default schemas and by others."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from apiserver.flowcontrol.classify import Classifier
from apiserver.flowcontrol.defaults import default_levels, default_schemas
from apiserver.request.info import parse_request
from apiserver.request.user import ANONYMOUS, AUTHENTICATED, User
from kubeapi.flowcontrol.flowschema import FlowSchema

LEVELS = {level.name: f"uid-of-{level.name}" for level in default_levels()}
DEFAULTS = Classifier(default_schemas(), LEVELS)
ADMIN = User("admin", "", ("system:masters", AUTHENTICATED))
NODE = User("system:node:n1", "", ("system:nodes", AUTHENTICATED))
MANAGER = User("system:kube-controller-manager", "", (AUTHENTICATED,))
JANE = User("jane", "", (AUTHENTICATED,))
SYSTEM_ACCOUNT = User("system:serviceaccount:kube-system:dns", "", ("system:serviceaccounts", AUTHENTICATED))
ACCOUNT = User("system:serviceaccount:shop:web", "", ("system:serviceaccounts", AUTHENTICATED))

PODS = "/api/v1/namespaces/shop/pods"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1"


@pytest.mark.parametrize(
    ("user", "method", "path", "schema", "level", "distinguisher"),
    [
        (ADMIN, "GET", PODS, "exempt", "exempt", ""),
        (JANE, "GET", "/healthz", "probes", "exempt", ""),
        (JANE, "GET", "/healthz/etcd", "global-default", "global-default", "jane"),
        (MANAGER, "PUT", LEASE, "system-leader-election", "leader-election", "system:kube-controller-manager"),
        (MANAGER, "DELETE", LEASE, "kube-controller-manager", "workload-high", "kube-node-lease"),
        (MANAGER, "GET", "/api/v1/nodes", "kube-controller-manager", "workload-high", ""),
        (NODE, "PUT", LEASE, "system-node-high", "node-high", "system:node:n1"),
        (NODE, "PATCH", "/api/v1/nodes/n1/status", "system-node-high", "node-high", "system:node:n1"),
        (NODE, "GET", PODS, "system-nodes", "system", "system:node:n1"),
        (SYSTEM_ACCOUNT, "GET", PODS, "kube-system-service-accounts", "workload-high", "shop"),
        (ACCOUNT, "GET", PODS, "service-accounts", "workload-low", ACCOUNT.name),
        (JANE, "GET", PODS, "global-default", "global-default", "jane"),
        (ANONYMOUS, "GET", "/api", "global-default", "global-default", "system:anonymous"),
        (User("stranger"), "GET", PODS, "catch-all", "catch-all", "stranger"),
    ],
)
def test_default_schemas(user: User, method: str, path: str, schema: str, level: str, distinguisher: str) -> None:
    flow = DEFAULTS.flow(user, parse_request(method, path))
    assert (flow.schema, flow.level, flow.distinguisher) == (schema, level, distinguisher)
    assert DEFAULTS.flow(user, parse_request(method, path)) is flow
    assert f"prioritylevel-uid: uid-of-{level}\r\n".encode() in flow.head


def schema(name: str, precedence: int, level: str, **rule: Any) -> FlowSchema:
    rules = [{"subjects": [{"kind": "Group", "group": {"name": "*"}}], **rule}]
    spec = {"matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": level}, "rules": rules}
    return from_dict(FlowSchema, {"metadata": {"name": name}, "spec": spec})


def found(classifier: Classifier, method: str, path: str) -> str:
    return classifier.flow(JANE, parse_request(method, path)).schema


def test_of_two_schemas_of_one_precedence_the_first_by_name_counts_and_dangling_ones_do_not() -> None:
    rule = {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["shop"]}
    more = [schema(name, 50, level, resourceRules=[rule]) for name, level in [("c", "system"), ("b", "system")]]
    more.append(schema("a", 50, "absent", resourceRules=[rule]))
    classifier = Classifier([*default_schemas(), *more], LEVELS)
    assert found(classifier, "GET", PODS) == "b"
    assert found(classifier, "GET", f"{PODS}/web") == "global-default"
    assert found(classifier, "GET", "/api/v1/namespaces/other/pods") == "global-default"
    assert found(classifier, "GET", "/api/v1/pods") == "global-default"  # no namespace, and no clusterScope


def test_paths_and_subresources() -> None:
    more = [
        schema("paths", 50, "system", nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": ["/a/*", "/b"]}]),
        schema(
            "logs", 51, "system",
            resourceRules=[{"verbs": ["*"], "apiGroups": [""], "resources": ["pods/log"], "namespaces": ["*"]}],
        ),
    ]  # fmt: skip
    classifier = Classifier([*default_schemas(), *more], LEVELS)
    expected = {"/a/x": "paths", "/a": "global-default", "/b": "paths", "/b/c": "global-default"}
    assert {path: found(classifier, "GET", path) for path in expected} == expected
    assert found(classifier, "POST", "/b") == "global-default"
    assert found(classifier, "GET", f"{PODS}/web/log") == "logs"
    assert found(classifier, "GET", f"{PODS}/web") == "global-default"
