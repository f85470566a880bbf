"""Decides about the requests of kubelets, who are `system:node:NAME` in the group `system:nodes`.

A node reads the Secrets, ConfigMaps, service accounts, claims and volumes that its own pods use, and no others. What
it may write of its Node, Lease and pods, the admission plugin NodeRestriction narrows down: it sees the object.

Source: Kubernetes documentation, "Using Node Authorization".
"""

from __future__ import annotations

from collections.abc import Callable

from apimachinery.errors import quote
from apiserver.auth.authorization.authorizer import ALLOWED, NO_OPINION, Decision, Rules
from apiserver.auth.authorization.defaults.components import NODE
from apiserver.auth.authorization.follower import Changes
from apiserver.auth.authorization.node_graph import NODE_NAME, NodeGraph
from apiserver.auth.authorization.rules import Rule
from apiserver.request.info import RequestInfo
from apiserver.request.user import User, node_of
from kubeapi.coordination.lease import NODE_LEASES

READ = ("get", "list", "watch")
OWN_OBJECT_VERBS = ("get", "create", "update", "patch", "delete")

RULES = tuple(Rule(spec) for spec in NODE.role.rules)
"""The rights that all nodes share; they decide about the kinds that `NodeAuthorizer` has no method for."""


class NodeAuthorizer:
    def __init__(self, storage: Changes) -> None:
        self._graph = NodeGraph(storage)
        self._by_resource: dict[tuple[str, str], Callable[[str, RequestInfo], Decision]] = {
            ("", "secrets"): self._read_object,
            ("", "configmaps"): self._read_object,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._get_object,
            ("", "serviceaccounts"): self._account,
            ("", "pods"): self._pod,
            ("", "nodes"): _node,
            ("coordination.k8s.io", "leases"): _lease,
            ("storage.k8s.io", "csinodes"): _csi_node,
            ("storage.k8s.io", "volumeattachments"): self._get_object,
            ("resource.k8s.io", "resourceclaims"): self._get_object,
            ("resource.k8s.io", "resourceslices"): self._slice,
        }

    def authorize(self, user: User, info: RequestInfo) -> Decision:
        node = node_of(user)
        if node is None:
            return NO_OPINION
        if not node:
            return _refused(f"unknown node for user {quote(user.name)}")
        decide = self._by_resource.get((info.group, info.resource)) if info.is_resource else None
        if decide is not None:
            return decide(node, info)
        return ALLOWED if any(rule.allows(info) for rule in RULES) else NO_OPINION

    def rules(self, user: User, namespace: str) -> Rules:
        if node_of(user) is None:
            return Rules()
        return Rules(incomplete=True, error="node authorizer does not support user rule resolution")

    def _used(self, node: str, info: RequestInfo) -> Decision:
        if not info.name:
            return _refused("No Object name found")
        if self._graph.uses(node, info.resource, info.namespace, info.name):
            return ALLOWED
        return _refused(f"no relationship found between node '{node}' and this object")

    def _read_object(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in READ:
            return _refused("can only read resources of this type")
        if info.subresource:
            return _refused("cannot read subresource")
        if not info.namespace:
            return _refused("can only read namespaced object of this type")
        return self._used(node, info)

    def _get_object(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "get":
            return _refused("can only get individual resources of this type")
        if info.subresource:
            return _refused("cannot get subresource")
        return self._used(node, info)

    def _claim(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource != "status":
            return self._get_object(node, info)
        if info.verb not in ("update", "patch"):
            return _refused("can only get/update/patch this type")
        return self._used(node, info)

    def _account(self, node: str, info: RequestInfo) -> Decision:
        if info.verb == "get" and not info.subresource:
            return self._read_object(node, info)
        if info.verb != "create" or not info.name:
            return _refused("can only create tokens for individual service accounts")
        if info.subresource != "token":
            return _refused("can only create token subresource of serviceaccount")
        return self._used(node, info)

    def _slice(self, node: str, info: RequestInfo) -> Decision:
        """A create tells the node in its body: NodeRestriction looks at it."""
        if info.subresource:
            return _refused("cannot authorize ResourceSlice subresources")
        if info.verb == "create":
            return ALLOWED
        if info.verb in ("get", "update", "patch", "delete"):
            return self._used(node, info)
        if info.verb not in ("watch", "list", "deletecollection"):
            verbs = "get, watch, list, create, update, patch, delete, deletecollection"
            return _refused(f"only the following verbs are allowed for a ResourceSlice: {verbs}")
        if info.fields is not None and info.fields.exact(NODE_NAME) == node:
            return ALLOWED
        return _refused("can only list/watch/deletecollection resourceslices with nodeName field selector")

    def _pod(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource == "status":
            return ALLOWED if info.verb in ("update", "patch") else NO_OPINION
        if info.subresource == "eviction":
            return ALLOWED if info.verb == "create" else NO_OPINION
        if info.subresource:
            return NO_OPINION
        if info.verb in ("create", "delete"):
            return ALLOWED
        if info.verb not in READ:
            return NO_OPINION
        if info.fields is not None and info.fields.exact(NODE_NAME) == node:
            return ALLOWED
        if info.verb == "get" or info.name:
            return self._used(node, info)
        return _refused("can only list/watch pods with spec.nodeName field selector")


def _refused(why: str) -> Decision:
    """Leaves the request to the next authorizer; the reason is told if that doesn't allow it either."""
    return Decision("no opinion", why)


def _node(node: str, info: RequestInfo) -> Decision:
    if info.subresource:
        return ALLOWED if info.subresource == "status" and info.verb in ("update", "patch") else NO_OPINION
    if info.verb in ("create", "update", "patch"):
        return ALLOWED
    if info.verb not in READ:
        return NO_OPINION
    if not info.name:
        return _refused(f"node '{node}' cannot read all nodes, only its own Node object")
    if info.name != node:
        return _refused(f"node '{node}' cannot read '{info.name}', only its own Node object")
    return ALLOWED


def _lease(node: str, info: RequestInfo) -> Decision:
    """A create doesn't have the name in its path: NodeRestriction looks at it."""
    if info.verb not in OWN_OBJECT_VERBS:
        return _refused("can only get, create, update, patch, or delete a node lease")
    if info.namespace != NODE_LEASES:
        return _refused(f"can only access leases in the {quote(NODE_LEASES)} system namespace")
    if info.verb != "create" and info.name != node:
        return _refused("can only access node lease with the same name as the requesting node")
    return ALLOWED


def _csi_node(node: str, info: RequestInfo) -> Decision:
    if info.verb not in OWN_OBJECT_VERBS:
        return _refused("can only get, create, update, patch, or delete a CSINode")
    if info.subresource:
        return _refused("cannot authorize CSINode subresources")
    if info.verb != "create" and info.name != node:
        return _refused("can only access CSINode with the same name as the requesting node")
    return ALLOWED
