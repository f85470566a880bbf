"""What roles and bindings allow, and to whom."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import Forbidden
from apimachinery.resource import Resource
from apiserver.auth.authorization.authorizer import AlwaysAllow, AlwaysDeny, InTurn, Masters, check
from apiserver.auth.authorization.rbac import RuleSet
from apiserver.request.info import RequestInfo, parse_request
from apiserver.request.user import User
from kubeapi.rbac.clusterrole import RESOURCE as CLUSTER_ROLES
from kubeapi.rbac.clusterrolebinding import RESOURCE as CLUSTER_BINDINGS
from kubeapi.rbac.role import RESOURCE as ROLES
from kubeapi.rbac.rolebinding import RESOURCE as BINDINGS
from tests.kits.kinds import load

Dict = dict[str, Any]

ALICE, BOB = User("alice"), User("bob", groups=("dev", "system:authenticated"))
ROBOT = User("system:serviceaccount:ns:robot", groups=("system:serviceaccounts",))


def rule(verbs: str, groups: str, resources: str, *names: str) -> Dict:
    return {
        "verbs": verbs.split(),
        "apiGroups": groups.replace("core", "").split(",") if groups else [],
        "resources": resources.split(),
        "resourceNames": list(names),
    }


def role(*rules: Dict, name: str = "r", resource: Resource[Any] = ROLES) -> Any:
    meta = {"name": name, "namespace": "ns" if resource.namespaced else ""}
    return load(resource, {"metadata": meta, "rules": list(rules)})


def binding(*subjects: Dict, kind: str = "Role", ref: str = "r", resource: Resource[Any] = BINDINGS) -> Any:
    meta = {"name": "b", "namespace": "ns" if resource.namespaced else ""}
    return load(resource, {"metadata": meta, "roleRef": {"kind": kind, "name": ref}, "subjects": list(subjects)})


def user(name: str) -> Dict:
    return {"kind": "User", "name": name}


def alices(*rules: Dict) -> RuleSet:
    return RuleSet([role(*rules)], [binding(user("alice"))])


def everywhere(*rules: Dict, to: Dict) -> RuleSet:
    roles = [role(*rules, resource=CLUSTER_ROLES)]
    return RuleSet(roles, [binding(to, kind="ClusterRole", resource=CLUSTER_BINDINGS)])


def asked(line: str) -> RequestInfo:
    """ "GET /api/v1/pods" as a request."""
    method, path = line.split()
    return parse_request(method, path)


PODS = "/api/v1/namespaces/ns/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/ns/deployments"


@pytest.mark.parametrize(
    ("granted", "line", "allowed"),
    [
        (rule("get list", "core", "pods"), f"GET {PODS}/x", True),
        (rule("get list", "core", "pods"), f"GET {PODS}", True),
        (rule("get list", "core", "pods"), f"DELETE {PODS}/x", False),
        (rule("get list", "core", "pods"), f"DELETE {PODS}", False),
        (rule("get list", "core", "pods"), "GET /api/v1/namespaces/other/pods", False),
        (rule("get list", "core", "pods"), "GET /api/v1/pods", False),
        (rule("get list", "core", "pods"), f"GET {PODS}/x/log", False),
        (rule("get list", "core", "pods"), f"GET {DEPLOYMENTS}/pods", False),
        (rule("get", "core", "pods/log"), f"GET {PODS}/x/log", True),
        (rule("get", "core", "pods/log"), f"GET {PODS}/x", False),
        (rule("update", "apps", "*/scale"), f"PUT {DEPLOYMENTS}/x/scale", True),
        (rule("update", "apps", "*/scale"), f"PUT {DEPLOYMENTS}/x/status", False),
        (rule("update", "apps", "*/scale"), f"PUT {DEPLOYMENTS}/x", False),
        (rule("*", "apps", "*"), f"PUT {DEPLOYMENTS}/x/status", True),
        (rule("*", "apps", "*"), f"GET {PODS}", False),
        (rule("*", "*", "pods"), f"PATCH {PODS}/x", True),
        (rule("get list create", "core", "pods", "x"), f"GET {PODS}/x", True),
        (rule("get list create", "core", "pods", "x"), f"GET {PODS}/y", False),
        (rule("get list create", "core", "pods", "x"), f"GET {PODS}", False),
        (rule("get list create", "core", "pods", "x"), f"POST {PODS}", False),
        (rule("get", "core", "namespaces"), "GET /api/v1/namespaces/ns", True),
        (rule("get", "core", "PODS"), f"GET {PODS}/x", False),
    ],
)
def test_rules_allow_verbs_on_resources_of_the_namespace(granted: Dict, line: str, allowed: bool) -> None:
    assert alices(granted).decide(ALICE, asked(line)).allowed is allowed


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/metrics", True), ("/metricsx", False), ("/metrics/", False), ("/logs/", True), ("/logs/a/b", True),
        ("/logs", False), ("/LOGS/a", False),
    ],
)  # fmt: skip
def test_paths_match_as_a_whole_or_up_to_a_star(path: str, allowed: bool) -> None:
    rules = everywhere({"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/*"]}, to=user("alice"))
    assert rules.decide(ALICE, asked(f"GET {path}")).allowed is allowed
    assert not rules.decide(ALICE, asked(f"POST {path}")).allowed


def test_a_star_alone_is_every_path_but_not_a_resource() -> None:
    rules = everywhere({"verbs": ["*"], "nonResourceURLs": ["*"]}, to=user("alice"))
    assert rules.decide(ALICE, asked("POST /anything")).allowed
    assert not rules.decide(ALICE, asked(f"GET {PODS}")).allowed


@pytest.mark.parametrize(
    ("subject", "who", "allowed"),
    [
        (user("alice"), ALICE, True),
        (user("alice"), BOB, False),
        (user("dev"), BOB, False),
        ({"kind": "Group", "name": "dev"}, BOB, True),
        ({"kind": "Group", "name": "bob"}, BOB, False),
        ({"kind": "ServiceAccount", "name": "robot", "namespace": "ns"}, ROBOT, True),
        ({"kind": "ServiceAccount", "name": "robot", "namespace": "other"}, ROBOT, False),
        ({"kind": "ServiceAccount", "name": "robot"}, ROBOT, True),
        ({"kind": "Group", "name": "system:serviceaccounts"}, ROBOT, True),
    ],
)
def test_subjects_are_users_groups_and_service_accounts(subject: Dict, who: User, allowed: bool) -> None:
    rules = RuleSet([role(rule("get", "core", "pods"))], [binding(subject)])
    assert rules.decide(who, asked(f"GET {PODS}/x")).allowed is allowed


def test_a_service_account_of_no_namespace_is_nobody() -> None:
    rules = everywhere(rule("get", "core", "pods"), to={"kind": "ServiceAccount", "name": "robot"})
    assert not rules.decide(User("system:serviceaccount::robot"), asked(f"GET {PODS}/x")).allowed


def test_a_cluster_role_bound_in_a_namespace_holds_there_alone() -> None:
    roles = [role(rule("list", "core", "pods nodes"), resource=CLUSTER_ROLES)]
    rules = RuleSet(roles, [binding(user("alice"), kind="ClusterRole")])
    assert rules.decide(ALICE, asked(f"GET {PODS}")).allowed
    assert not rules.decide(ALICE, asked("GET /api/v1/namespaces/other/pods")).allowed
    assert not rules.decide(ALICE, asked("GET /api/v1/nodes")).allowed


def test_a_cluster_role_binding_holds_everywhere() -> None:
    rules = everywhere(rule("list", "core", "pods nodes"), to=user("alice"))
    for path in (PODS, "/api/v1/namespaces/other/pods", "/api/v1/pods", "/api/v1/nodes"):
        assert rules.decide(ALICE, asked(f"GET {path}")).allowed


def test_reasons_name_binding_role_and_subject() -> None:
    rules = alices(rule("get", "core", "pods"))
    expected = 'RBAC: allowed by RoleBinding "b/ns" of Role "r" to User "alice"'
    assert rules.decide(ALICE, asked(f"GET {PODS}/x")).reason == expected
    robots = RuleSet([role(rule("get", "core", "pods"))], [binding({"kind": "ServiceAccount", "name": "robot"})])
    expected = 'RBAC: allowed by RoleBinding "b/ns" of Role "r" to ServiceAccount "robot/ns"'
    assert robots.decide(ROBOT, asked(f"GET {PODS}/x")).reason == expected
    rules = everywhere(rule("*", "*", "*"), to={"kind": "Group", "name": "dev"})
    expected = 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to Group "dev"'
    assert rules.decide(BOB, asked(f"GET {PODS}/x")).reason == expected


def test_a_role_that_is_missing_is_named_to_its_holders_alone() -> None:
    rules = RuleSet([], [binding(user("alice")), binding(user("alice"), kind="ClusterRole", ref="c")])
    one, two = (f'{kind}.rbac.authorization.k8s.io "{name}" not found' for kind, name in
                (("role", "r"), ("clusterrole", "c")))  # fmt: skip
    assert rules.decide(ALICE, asked(f"GET {PODS}/x")).reason == f"RBAC: [{one}, {two}]"
    assert rules.decide(ALICE, asked("GET /api/v1/nodes")).reason == ""
    assert rules.decide(BOB, asked(f"GET {PODS}/x")).reason == ""


def test_the_403_of_a_user_without_bindings() -> None:
    with pytest.raises(Forbidden) as caught:
        check(InTurn([Masters(), AlwaysDeny()]), BOB, asked(f"GET {PODS}/x/log"))
    assert str(caught.value) == (
        'pods "x" is forbidden: User "bob" cannot get resource "pods/log" in API group "" in the namespace "ns": '
        "Everything is forbidden."
    )


def test_masters_come_before_every_other_authorizer() -> None:
    authorizer = InTurn([Masters(), AlwaysDeny()])
    assert authorizer.authorize(User("x", groups=("system:masters",)), asked(f"GET {PODS}")).allowed
    assert InTurn([AlwaysDeny(), AlwaysAllow()]).authorize(ALICE, asked(f"GET {PODS}")).allowed


def test_answers_to_questions_that_look_alike_are_kept_apart() -> None:
    """A review may ask about any text: the parts of one question must not be read as those of another."""
    rules = everywhere({"verbs": ["get"], "nonResourceURLs": ["/x"]}, to={"kind": "Group", "name": "b"})
    assert rules.decide(User("u", groups=("a", "b")), RequestInfo("get", "/x")).allowed
    assert not rules.decide(User("u"), RequestInfo("get", "", True, "/x", "", "a", "b")).allowed
    assert not rules.decide(User("b", groups=("u", "a")), RequestInfo("get", "/x")).allowed


def test_the_rules_of_a_user_in_a_namespace() -> None:
    rules = RuleSet(
        [
            role(rule("get", "core", "pods", "x")),
            role({"verbs": ["get"], "nonResourceURLs": ["/x"]}, name="c", resource=CLUSTER_ROLES),
        ],
        [
            binding(user("alice")),
            binding(user("alice"), ref="absent"),
            binding(user("alice"), kind="ClusterRole", ref="c", resource=CLUSTER_BINDINGS),
        ],
    )
    listed = rules.rules(ALICE, "ns")
    assert [(item.verbs, item.groups, item.resources, item.names) for item in listed.resources] == [
        (("get",), ("",), ("pods",), ("x",))
    ]
    assert [(item.verbs, item.paths) for item in listed.paths] == [(("get",), ("/x",))]
    assert listed.error == 'role.rbac.authorization.k8s.io "absent" not found'
    assert rules.rules(ALICE, "other").resources == ()
