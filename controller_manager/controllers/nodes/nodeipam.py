"""Node IPAM: gives each node its part of the cluster's pod networks, with --allocate-node-cidrs.

A range that a node has is never changed. What is assigned stays held by the node's name until the node is gone, so a
patch whose answer was lost is sent again as it was; after a restart the cache says who holds what before the first
range is given.
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.errors import NotFound
from componentbase import logs
from controller_manager.controllers.nodes._podranges import NoneLeft, PodRanges
from kubeapi.core.node import Node
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, latest
from kubeclient.wire import STRATEGIC_MERGE_PATCH

NOT_AVAILABLE = "CIDRNotAvailable"

log = logs.logger(__name__)


class NodeIpam:
    """Keys are nodes."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder = context.rest, context.recorder
        self._nodes = context.informers.of(Node)
        options = context.options
        self._enabled: bool = options.allocate_node_cidrs
        self._ranges = PodRanges(options.node_networks, options.service_cidrs)
        self._waiting: set[str] = set()

    def changed_node(self, old: Node | None, new: Node | None) -> Iterable[str]:
        """Notes what the node holds, and wakes it if that is nothing; a range that is free again wakes who waits."""
        if not self._enabled:
            return ()
        node = latest(old, new)
        replaced = old is not None and new is not None and old.metadata.uid != new.metadata.uid
        cidrs = tuple(new.spec.podCIDRs or ()) if new is not None else ()
        woken: set[str] = set()
        if (cidrs or new is None or replaced) and self._ranges.hold(node.name, cidrs):
            woken, self._waiting = self._waiting, set()
        return woken if new is None or cidrs else {*woken, node.name}

    async def reconcile(self, key: str) -> Result:
        node = self._nodes.get(key)
        if node is None or node.spec.podCIDRs:
            return DONE
        try:
            cidrs = self._ranges.assign(key)
        except NoneLeft:
            self._waiting.add(key)
            self._recorder.event(node, "Normal", NOT_AVAILABLE, f"Node {key} status is now: {NOT_AVAILABLE}")
            return DONE
        patch = {"metadata": {"uid": node.metadata.uid}, "spec": {"podCIDR": cidrs[0], "podCIDRs": list(cidrs)}}
        try:
            await self._rest.patch(Node, key, "", patch, content_type=STRATEGIC_MERGE_PATCH)
        except NotFound:
            return DONE  # the cache is about to learn it, and releases the range
        log.info("assigned pod ranges", node=key, ranges=",".join(cidrs))
        return DONE


CONTROLLER = ControllerSpec(
    "node-ipam-controller",
    NodeIpam,
    [Watch(Node, NodeIpam.changed_node)],
    workers=30,
    service_account="node-controller",
    event_source="cidrAllocator",
)
