"""What must hold for all roles, bindings and requests: random ones of a few words."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apimachinery.meta import ObjectMeta
from apiserver.auth.authorization.rbac import RuleSet
from apiserver.auth.authorization.rules import Rule, RuleIndex
from apiserver.request.info import RequestInfo
from apiserver.request.user import User
from kubeapi.rbac._bindings import GROUP_KIND, USER, RoleRef, Subject
from kubeapi.rbac._rules import GROUP, PolicyRule
from kubeapi.rbac.clusterrole import ClusterRole
from kubeapi.rbac.clusterrolebinding import ClusterRoleBinding
from kubeapi.rbac.role import Role
from kubeapi.rbac.rolebinding import RoleBinding

VERBS, GROUPS, NAMES, NAMESPACES = ("get", "list"), ("", "apps"), ("a",), ("n", "m")
RESOURCES = ("pods", "pods/log")
PATHS = ("/x", "/x/y", "/z")
OTHER = "other"  # a word that no rule has: what it is allowed, everything is


def words(*choices: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=2, unique=True)


resource_rules = st.builds(
    PolicyRule,
    verbs=words(*VERBS, "*"),
    apiGroups=words(*GROUPS, "*"),
    resources=words(*RESOURCES, "*/log", "*"),
    resourceNames=st.none() | words(*NAMES, ""),
)
path_rules = st.builds(PolicyRule, verbs=words(*VERBS, "*"), nonResourceURLs=words(*PATHS, "/x*", "/x/*", "*"))
rules = st.lists(resource_rules | path_rules, max_size=4)

subjects = st.lists(
    st.builds(
        Subject, kind=st.sampled_from((USER, GROUP_KIND)), apiGroup=st.just(GROUP), name=st.sampled_from(("u", "v"))
    ),
    max_size=2,
)


def requests(namespace: str = "") -> list[RequestInfo]:
    """All requests that the rules can tell apart."""
    resources = (*RESOURCES, f"{OTHER}/log", OTHER)
    found = [
        RequestInfo(verb, "", True, group, "v1", namespace, *_parts(resource), name)
        for verb, group, resource, name in product((*VERBS, OTHER), (*GROUPS, OTHER), resources, ("", *NAMES, OTHER))
    ]
    return found + [
        RequestInfo(verb, path) for verb, path in product((*VERBS, OTHER), (*PATHS, "/xo", "/x/o", "/x", f"/{OTHER}"))
    ]


def _parts(resource: str) -> tuple[str, str]:
    name, _, subresource = resource.partition("/")
    return name, subresource


REQUESTS = requests()


def allowed(rules: list[Rule], info: RequestInfo) -> bool:
    return any(rule.allows(info) and (not rule.names or info.name in rule.names) for rule in rules)


@given(owned=rules, wanted=rules)
@settings(max_examples=200, deadline=None)
def test_what_is_covered_gives_nothing_that_is_not_held(owned: list[PolicyRule], wanted: list[PolicyRule]) -> None:
    missing = RuleIndex(map(Rule, owned)).uncovered(wanted)
    assert RuleIndex(map(Rule, [*owned, *missing])).uncovered(wanted) == []
    together, prepared = [Rule(rule) for rule in (*owned, *missing)], [Rule(rule) for rule in wanted]
    for info in REQUESTS:
        assert not allowed(prepared, info) or allowed(together, info), info


def role(kind: Any, name: str, namespace: str, specs: list[PolicyRule]) -> Any:
    return kind(metadata=ObjectMeta(name=name, namespace=namespace or None), rules=specs)


roles = st.builds(role, st.just(Role), st.sampled_from("rs"), st.sampled_from(NAMESPACES), rules)
cluster_roles = st.builds(role, st.just(ClusterRole), st.sampled_from("rs"), st.just(""), rules)


def bind(kind: Any, name: str, namespace: str, role_kind: str, role_name: str, to: list[Subject]) -> Any:
    meta = ObjectMeta(name=name, namespace=namespace or None)
    return kind(metadata=meta, subjects=to or None, roleRef=RoleRef(apiGroup=GROUP, kind=role_kind, name=role_name))


bindings = st.builds(
    bind,
    st.just(RoleBinding),
    st.sampled_from("bc"),
    st.sampled_from(NAMESPACES),
    st.sampled_from(("Role", "ClusterRole")),
    st.sampled_from("rs"),
    subjects,
)
cluster_bindings = st.builds(
    bind,
    st.just(ClusterRoleBinding),
    st.sampled_from("bc"),
    st.just(""),
    st.just("ClusterRole"),
    st.sampled_from("rs"),
    subjects,
)


@given(changes=st.lists(st.tuples(st.booleans(), roles | cluster_roles | bindings | cluster_bindings), max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_rule_set_that_was_changed_decides_as_a_new_one(changes: list[tuple[bool, Any]]) -> None:
    """Also right after a question: kept answers end with the change."""
    changed = RuleSet()
    objects: dict[tuple[str, str, str], Any] = {}
    user = User("u", groups=("v",))
    questions = [*requests("n")[::7], *REQUESTS[::11]]
    for stays, obj in changes:
        key = (type(obj).__name__, obj.namespace, obj.name)
        if (previous := objects.pop(key, None)) is not None:
            changed.remove(previous)
        if stays:
            changed.add(obj)
            objects[key] = obj
        changed.decide(user, questions[0])
    everything = list(objects.values())
    new = RuleSet(
        [obj for obj in everything if isinstance(obj, (Role, ClusterRole))],
        [obj for obj in everything if not isinstance(obj, (Role, ClusterRole))],
    )
    for info in questions:
        assert changed.decide(user, info) == new.decide(user, info)
