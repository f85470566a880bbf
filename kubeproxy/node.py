"""Follows the Node object of this host: its zone, its addresses, and whether it is about to go."""

from __future__ import annotations

import orjson

from componentbase.host.process import run
from kubeapi.core.node import Node, internal_addresses
from kubeclient.informer import Informer
from kubeclient.rest import RestClient
from kubeproxy.topology import Place

ZONE_LABEL = "topology.kubernetes.io/zone"
LEAVING_TAINT = "ToBeDeletedByClusterAutoscaler"


class ThisNode:
    """What the Node object says, or nothing while there is none."""

    def __init__(self, rest: RestClient, name: str) -> None:
        self._name = name
        self.informer = Informer(rest, Node, field_selector=f"metadata.name={name}")

    @property
    def _node(self) -> Node | None:
        return self.informer.get(self._name)

    @property
    def place(self) -> Place:
        node = self._node
        return Place(self._name, node.labels.get(ZONE_LABEL, "") if node else "")

    @property
    def addresses(self) -> tuple[str, ...]:
        node = self._node
        return internal_addresses(node) if node else ()

    @property
    def pod_cidrs(self) -> tuple[str, ...]:
        node = self._node
        return tuple(node.spec.podCIDRs or ()) if node else ()

    @property
    def eligible(self) -> bool:
        """Whether load balancers should still send traffic here."""
        node = self._node
        if node is None:
            return True
        leaving = any(taint.key == LEAVING_TAINT for taint in node.spec.taints or ())
        return node.metadata.deletionTimestamp is None and not leaving


async def interface_addresses() -> tuple[str, ...]:
    """Returns the addresses of all interfaces. Raises: CommandError."""
    interfaces = orjson.loads(await run("ip", "-json", "address") or "[]")
    return tuple(
        item["local"] for interface in interfaces for item in interface.get("addr_info", ()) if "local" in item
    )
