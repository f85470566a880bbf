"""Cloud node: gives new nodes what their cloud knows of them, and lets pods onto them only then.

A kubelet with --cloud-provider=external registers its Node with a taint that keeps pods away.
"""

from __future__ import annotations

from apimachinery.errors import NotFound
from apimachinery.model import to_dict
from cloud_controller_manager.controllers._initialisation import node_addresses, with_cloud_facts
from cloud_controller_manager.controllers._triggers import node_changes
from cloudprovider.interface import CloudError, Instance
from componentbase import logs
from kubeapi.core.node import UNINITIALIZED_TAINT, Node, has_taint
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own
from kubeclient.rest import STRATEGIC_MERGE_PATCH

log = logs.logger(__name__)


class CloudNode:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder = context.rest, context.recorder
        self.provider = context.options.provider
        self.nodes = context.informers.of(Node)

    async def reconcile(self, key: str) -> Result:
        node = self.nodes.get(key)
        if node is None or node.metadata.deletionTimestamp is not None:
            return DONE
        instance = await self.provider.instances.find(node)
        fresh = has_taint(node, UNINITIALIZED_TAINT)
        if instance is None:
            if fresh:  # the cloud may come to know it: the key comes back
                raise CloudError(f"the cloud has no machine of the node {key}")
            return DONE
        try:
            await self._sync_addresses(node, instance)
            changed = with_cloud_facts(node, instance)
            if changed == node:
                return DONE
            await self._rest.update(changed)
        except NotFound:
            return DONE
        log.info("node has what the cloud knows", node=key, provider_id=instance.provider_id)
        if fresh:
            self._recorder.event(node, "Normal", "Synced", "Node synced successfully")
        return DONE

    async def _sync_addresses(self, node: Node, instance: Instance) -> None:
        addresses = node_addresses(node, instance)
        if addresses == node.status.addresses:
            return
        patch = [{"$patch": "replace"}, *(to_dict(address) for address in addresses)]
        await self._rest.patch(
            Node,
            node.name,
            "",
            {"status": {"addresses": patch}},
            content_type=STRATEGIC_MERGE_PATCH,
            subresource="status",
        )


CONTROLLER = ControllerSpec(
    "cloud-node-controller",
    CloudNode,
    [own(Node), node_changes()],
    workers=1,
    workers_flag="--concurrent-node-syncs",
    subjects="nodes",
    service_account="node-controller",
)
