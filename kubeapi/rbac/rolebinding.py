"""RoleBinding: who has a role in a namespace."""

from __future__ import annotations

from apimachinery.resource import Resource
from kubeapi.rbac._bindings import COLUMNS, Binding, BindingStrategy
from kubeapi.rbac._rules import GROUP


class RoleBinding(Binding, protobuf="metadata subjects roleRef"):
    """Grants a Role of its namespace, or a ClusterRole, to its subjects within the namespace."""


RESOURCE = Resource(
    kind="RoleBinding",
    plural="rolebindings",
    model=RoleBinding,
    group=GROUP,
    strategy=BindingStrategy("Role", "ClusterRole"),
    columns=COLUMNS,
)
