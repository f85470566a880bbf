"""ClusterRoleBinding: who has a role in the whole cluster."""

from __future__ import annotations

from apimachinery.resource import Resource
from kubeapi.rbac._bindings import COLUMNS, Binding, BindingStrategy
from kubeapi.rbac._rules import GROUP


class ClusterRoleBinding(Binding, protobuf="metadata subjects roleRef"):
    """Grants a ClusterRole to its subjects in all namespaces, for cluster-scoped objects, and for other paths."""


RESOURCE = Resource(
    kind="ClusterRoleBinding",
    plural="clusterrolebindings",
    model=ClusterRoleBinding,
    group=GROUP,
    namespaced=False,
    strategy=BindingStrategy("ClusterRole"),
    columns=COLUMNS,
)
