"""The words that default roles are written in: `role("system:kube-dns", allow("list watch", "services"))`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from apimachinery.meta import LabelSelector, Object, ObjectMeta
from apimachinery.resource import resource_of
from kubeapi.rbac._bindings import GROUP_KIND, SERVICE_ACCOUNT, USER, Binding, RoleRef, Subject
from kubeapi.rbac._rules import GROUP, PolicyRule
from kubeapi.rbac.clusterrole import AggregationRule, ClusterRole
from kubeapi.rbac.clusterrolebinding import ClusterRoleBinding
from kubeapi.rbac.role import Role
from kubeapi.rbac.rolebinding import RoleBinding

B = TypeVar("B", bound=Binding)
T = TypeVar("T", bound=Object)

READ = "get list watch"
WRITE = "create update patch delete deletecollection"
READ_WRITE = f"{READ} {WRITE}"
CORE = "core"
"""Stands for the core group, whose name is empty."""

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
"""The annotation of an object that every start of a server completes; "false" keeps it as its user left it."""
BOOTSTRAPPING = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
"""Begins the labels of roles whose rules another one takes over."""


@dataclass(frozen=True, slots=True)
class DefaultRole:
    """A role, and the binding that grants it."""

    role: Role | ClusterRole
    binding: Binding | None


def allow(verbs: str, resources: str, groups: str = CORE, names: str = "") -> PolicyRule:
    """Makes a rule on resources. Every argument is a list of words; without `names` the rule is about all objects."""
    return PolicyRule(
        verbs=sorted(verbs.split()),
        apiGroups=["" if group == CORE else group for group in groups.split()],
        resources=sorted(resources.split()),
        resourceNames=sorted(names.split()) or None,
    )


def allow_paths(verbs: str, paths: str) -> PolicyRule:
    """Makes a rule on paths that aren't resources. Both arguments are lists of words."""
    return PolicyRule(verbs=sorted(verbs.split()), nonResourceURLs=sorted(paths.split()))


EVENTS = allow("create update patch", "events", "core events.k8s.io")
"""Lets a process tell what it did."""


def user(name: str) -> Subject:
    return Subject(kind=USER, apiGroup=GROUP, name=name)


def group(name: str) -> Subject:
    return Subject(kind=GROUP_KIND, apiGroup=GROUP, name=name)


def account(name: str) -> Subject:
    """Names a service account of the namespace `kube-system`."""
    return Subject(kind=SERVICE_ACCOUNT, name=name, namespace="kube-system")


def role(
    name: str, *rules: PolicyRule, subjects: tuple[Subject, ...] | None = None, joins: str = "", aggregates: str = ""
) -> DefaultRole:
    """Makes a ClusterRole, and its binding unless `subjects` is None; empty subjects make a binding to nobody.

    The role `joins` the aggregated role of that name, or `aggregates` the rules of those that join it.
    """
    granted = ClusterRole(metadata=_meta(name), rules=list(rules))
    if joins:
        granted.metadata.labels = {**BOOTSTRAPPING, AGGREGATE + joins: "true"}
    if aggregates:
        selector = LabelSelector(matchLabels={AGGREGATE + aggregates: "true"})
        granted.aggregationRule = AggregationRule(clusterRoleSelectors=[selector])
    binding = None if subjects is None else _bind(ClusterRoleBinding(metadata=_meta(name)), granted, subjects)
    return DefaultRole(_typed(granted), binding)


def controller(name: str, *rules: PolicyRule) -> DefaultRole:
    """Makes the role that the service account of a controller holds."""
    return role(f"system:controller:{name}", *rules, subjects=(account(name),))


def namespaced_role(
    namespace: str, name: str, *rules: PolicyRule, subjects: tuple[Subject, ...], binding: str = ""
) -> DefaultRole:
    """Makes a Role of a namespace and its binding, which has the role's name unless `binding` is another."""
    granted = Role(metadata=_meta(name, namespace), rules=list(rules))
    return DefaultRole(
        _typed(granted), _bind(RoleBinding(metadata=_meta(binding or name, namespace)), granted, subjects)
    )


def _meta(name: str, namespace: str = "") -> ObjectMeta:
    return ObjectMeta(
        name=name, namespace=namespace or None, labels=dict(BOOTSTRAPPING), annotations={AUTOUPDATE: "true"}
    )


def _bind(binding: B, granted: Role | ClusterRole, subjects: tuple[Subject, ...]) -> B:
    binding.roleRef = RoleRef(apiGroup=GROUP, kind=type(granted).__name__, name=granted.name)
    binding.subjects = list(subjects) or None
    return _typed(binding)


def _typed(obj: T) -> T:
    resource = resource_of(type(obj))
    obj.kind, obj.apiVersion = resource.kind, resource.api_version
    return obj
