"""A start of a server completes default roles and bindings, and takes nothing away from them."""

from __future__ import annotations

from typing import Any

from apiserver.auth.authorization.reconciling import is_protected, reconcile_binding, reconcile_role
from apiserver.main.defaultroles import default_roles
from kubeapi.rbac.clusterrole import RESOURCE as CLUSTER_ROLES
from kubeapi.rbac.clusterrolebinding import RESOURCE as CLUSTER_BINDINGS
from tests.kits.kinds import load

Dict = dict[str, Any]


def role(*rules: Dict, aggregates: tuple[str, ...] = (), **meta: Any) -> Any:
    document: Dict = {"metadata": {"name": "r", **meta}, "rules": list(rules)}
    if aggregates:
        selectors = [{"matchLabels": {label: "true"}} for label in aggregates]
        document["aggregationRule"] = {"clusterRoleSelectors": selectors}
    return load(CLUSTER_ROLES, document)


def binding(*users: str) -> Any:
    subjects = [{"kind": "User", "name": name} for name in users]
    ref = {"kind": "ClusterRole", "name": "r"}
    return load(CLUSTER_BINDINGS, {"metadata": {"name": "r"}, "roleRef": ref, "subjects": subjects})


def rule(verbs: str, resources: str, *names: str) -> Dict:
    return {
        "verbs": verbs.split(),
        "apiGroups": [""],
        "resources": resources.split(),
        **({"resourceNames": list(names)} if names else {}),
    }


def test_missing_rules_are_added_one_by_one_and_others_stay() -> None:
    existing = role(rule("get delete", "pods"))
    result = reconcile_role(existing, role(rule("get list", "pods nodes")))
    assert [(item.resources, item.verbs) for item in result.rules] == [
        (["pods"], ["get", "delete"]),
        (["pods"], ["list"]),
        (["nodes"], ["get"]),
        (["nodes"], ["list"]),
    ]
    assert len(existing.rules) == 1


def test_what_wider_rules_cover_is_not_missing() -> None:
    existing = role(rule("*", "*"))
    assert reconcile_role(existing, role(rule("get list", "pods nodes/log"), rule("get", "secrets", "x"))) == existing


def test_labels_and_annotations_are_added_but_not_changed() -> None:
    existing = role(labels={"a": "mine"}, annotations={"x": "mine"})
    expected = role(labels={"a": "1", "b": "2"}, annotations={"x": "1", "y": "2"})
    meta = reconcile_role(existing, expected).metadata
    assert meta.labels == {"a": "mine", "b": "2"}
    assert meta.annotations == {"x": "mine", "y": "2"}


def test_an_aggregated_role_gets_the_selectors_that_it_lacks_and_keeps_its_rules() -> None:
    existing = role(rule("get", "pods"), aggregates=("mine",))
    result = reconcile_role(existing, role(aggregates=("edit", "mine")))
    assert [item.matchLabels for item in result.aggregationRule.clusterRoleSelectors] == [
        {"mine": "true"},
        {"edit": "true"},
    ]
    assert result.rules == existing.rules
    assert (
        reconcile_role(role(), role(aggregates=("edit",))).aggregationRule == role(aggregates=("edit",)).aggregationRule
    )


def test_missing_subjects_are_added_and_others_stay() -> None:
    result = reconcile_binding(binding("own", "a"), binding("a", "b"))
    assert [subject.name for subject in result.subjects] == ["own", "a", "b"]
    assert reconcile_binding(binding("a"), binding("a")) == binding("a")
    assert reconcile_binding(binding(), binding()) == binding()


def test_the_annotation_of_the_user_protects() -> None:
    annotation = "rbac.authorization.kubernetes.io/autoupdate"
    assert is_protected(role(annotations={annotation: "false"}))
    assert not is_protected(role(annotations={annotation: "true"}))
    assert not is_protected(role())


def test_default_objects_are_complete_as_they_are() -> None:
    """Nothing in them is covered by, or repeats, another part: a second start writes nothing."""
    names = set()
    for default in default_roles():
        assert reconcile_role(default.role, default.role) == default.role
        if default.binding is not None:
            assert reconcile_binding(default.binding, default.binding) == default.binding
            assert default.binding.roleRef.name == default.role.name
        names.add((type(default.role), default.role.namespace, default.role.name))
    assert len(names) == len(default_roles())
