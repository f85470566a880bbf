"""Cloud node lifecycle: removes the nodes whose machine is gone, and taints those whose machine is switched off.

Only nodes that are not ready are looked at, and only those that have a provider id of this cloud: a node of another
origin has no machine here, and is none the worse for it.
"""

from __future__ import annotations

from apimachinery.conditions import is_true
from apimachinery.errors import NotFound
from cloud_controller_manager.controllers._initialisation import SHUTDOWN
from cloud_controller_manager.controllers._triggers import node_changes
from componentbase import logs
from kubeapi.core.node import Node, with_taint, without_taints
from kubeapi.core.pod.scheduling.affinity import Taint
from kubeapi.core.pod.scheduling.tolerations import NO_SCHEDULE
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own

SHUTDOWN_TAINT = Taint(key=SHUTDOWN, effect=NO_SCHEDULE)

log = logs.logger(__name__)


class CloudNodeLifecycle:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder = context.rest, context.recorder
        self.provider = context.options.provider
        self.nodes = context.informers.of(Node)

    async def reconcile(self, key: str) -> Result:
        node = self.nodes.get(key)
        if node is None or node.metadata.deletionTimestamp is not None or not self.provider.owns(node):
            return DONE
        shut_down = False
        if not is_true(node.status.conditions, "Ready"):
            instance = await self.provider.instances.find(node)
            if instance is None:
                message = f"Deleting node {key} because it does not exist in the cloud provider"
                self._recorder.event(node, "Normal", "DeletingNode", message)
                await self._delete(node)
                return DONE
            shut_down = instance.shut_down
        changed = with_taint(node, SHUTDOWN_TAINT) if shut_down else without_taints(node, SHUTDOWN)
        if changed is not None:
            await self._rest.update(changed)
            log.info("shutdown taint changed", node=key, shut_down=shut_down)
        return DONE

    async def _delete(self, node: Node) -> None:
        try:
            await self._rest.delete(Node, node.name, uid=node.metadata.uid)
        except NotFound:
            return
        log.info("node deleted, its machine is gone", node=node.name)


CONTROLLER = ControllerSpec(
    "cloud-node-lifecycle-controller",
    CloudNodeLifecycle,
    [own(Node), node_changes()],
    workers=1,
    service_account="node-controller",
)
