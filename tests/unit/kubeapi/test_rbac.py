"""Role, ClusterRole, RoleBinding and ClusterRoleBinding."""

from typing import Any

import pytest

from apimachinery.model import to_dict
from apimachinery.resource import Resource
from kubeapi.rbac.clusterrole import RESOURCE as CLUSTER_ROLES
from kubeapi.rbac.clusterrolebinding import RESOURCE as CLUSTER_BINDINGS
from kubeapi.rbac.role import RESOURCE as ROLES
from kubeapi.rbac.rolebinding import RESOURCE as BINDINGS
from tests.kits.kinds import A_DAY_AGO, headers, load, problems, row, update_problems

Dict = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
META = {"name": "x", "creationTimestamp": A_DAY_AGO}
PODS: Dict = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
PATHS: Dict = {"verbs": ["get"], "nonResourceURLs": ["/x"]}
READER: Dict = {"kind": "Role", "name": "reader"}
SUBJECTS: list[Dict] = [
    {"kind": "User", "name": "u1"},
    {"kind": "User", "name": "u2"},
    {"kind": "Group", "name": "g"},
    {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
]


def role(*rules: Dict, **top: Any) -> Dict:
    return {"metadata": META, "rules": list(rules), **top}


def binding(*subjects: Dict, **ref: str) -> Dict:
    return {"metadata": META, "subjects": list(subjects), "roleRef": {**READER, **ref}}


BAD: list[tuple[Resource[Any], Dict, list[str]]] = [
    (ROLES, role(PODS), []),
    (ROLES, role({**PODS, "verbs": []}), ["rules[0].verbs: Required value: verbs must contain at least one value"]),
    (
        ROLES,
        role(PODS, {"verbs": ["get"]}),
        [
            "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[1].resources: Required value: resource rules must supply at least one resource",
        ],
    ),
    (
        ROLES,
        role(PATHS),
        ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs'],
    ),
    (CLUSTER_ROLES, role(PODS, PATHS), []),
    (
        CLUSTER_ROLES,
        role({**PODS, **PATHS}),
        [
            'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and '
            "non-resource URLs"
        ],
    ),
    (
        CLUSTER_ROLES,
        role(aggregationRule={}),
        [
            "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if "
            "aggregationRule is non-nil"
        ],
    ),
    (BINDINGS, binding(*SUBJECTS), []),
    (BINDINGS, binding(kind="ClusterRole"), []),
    (
        CLUSTER_BINDINGS,
        binding(),
        ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'],
    ),
    (BINDINGS, binding(name="a/b"), ["roleRef.name: Invalid value: \"a/b\": may not contain '/'"]),
    (
        BINDINGS,
        binding(apiGroup="x.example"),
        [f'roleRef.apiGroup: Unsupported value: "x.example": supported values: "{GROUP}"'],
    ),
    (
        BINDINGS,
        binding({}),
        [
            "subjects[0].name: Required value",
            'subjects[0].kind: Unsupported value: "": supported values: "ServiceAccount", "User", "Group"',
        ],
    ),
    (
        BINDINGS,
        binding({"kind": "ServiceAccount", "name": "s", "apiGroup": "x"}),
        ['subjects[0].apiGroup: Unsupported value: "x": supported values: ""'],
    ),
]


@pytest.mark.parametrize(("resource", "document", "expected"), BAD)
def test_mistakes_are_named_as_upstream_names_them(
    resource: Resource[Any], document: Dict, expected: list[str]
) -> None:
    assert problems(resource, document) == expected


def test_names_only_have_to_fit_a_path() -> None:
    for resource in (ROLES, CLUSTER_ROLES, BINDINGS, CLUSTER_BINDINGS):
        assert resource.strategy.validate_name("System:Node_1") == []
        assert resource.strategy.validate_name("a%b") == ["may not contain '%'"]


def test_the_api_groups_of_a_binding_are_filled_in() -> None:
    obj = to_dict(load(BINDINGS, binding(*SUBJECTS)))
    assert obj["roleRef"]["apiGroup"] == GROUP
    assert [subject.get("apiGroup") for subject in obj["subjects"]] == [GROUP, GROUP, GROUP, None]


def test_a_binding_keeps_its_role() -> None:
    old, new = binding(SUBJECTS[0]), binding(SUBJECTS[2], name="other")
    shown = f'{{"APIGroup":"{GROUP}","Kind":"Role","Name":"other"}}'
    assert update_problems(BINDINGS, old, new) == [f"roleRef: Invalid value: {shown}: cannot change roleRef"]
    assert update_problems(BINDINGS, old, binding(SUBJECTS[2])) == []


def test_the_columns_of_roles_and_bindings() -> None:
    assert row(ROLES, role()) == row(CLUSTER_ROLES, role()) == {"Name": "x", "Created At": A_DAY_AGO}
    cells = {"Name": "x", "Role": "Role/reader", "Age": "24h", "Users": "u1, u2", "Groups": "g"}
    assert row(BINDINGS, binding(*SUBJECTS)) == {**cells, "ServiceAccounts": "n/s"}
    assert headers(BINDINGS, wide=True) == ["Users", "Groups", "ServiceAccounts"]


def test_a_role_without_rules_says_so() -> None:
    assert to_dict(load(ROLES, {"metadata": META}))["rules"] is None
