"""TTL: tells kubelets by an annotation for how long they may keep Secrets and ConfigMaps, longer in large clusters."""

from __future__ import annotations

from contextlib import suppress

from apimachinery.errors import NotFound
from kubeapi.core.node import Node
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own
from kubeclient.wire import STRATEGIC_MERGE_PATCH

ANNOTATION = "node.alpha.kubernetes.io/ttl"
STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 2**31 - 1, 300))
"""(the fewest nodes, the most nodes, seconds). They overlap, so that one node more or less does not change all."""


def next_step(step: int, node_count: int) -> int:
    """Returns the number of the step that so many nodes ask for, when `step` was the last one."""
    while node_count > STEPS[step][1]:
        step += 1
    while node_count < STEPS[step][0]:
        step -= 1
    return step


class NodeTtl:
    """A node learns of another step with its next report: nobody needs it sooner, and all at once would be many."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._nodes = context.informers.of(Node)
        self._step = 0

    async def reconcile(self, key: str) -> Result:
        self._step = next_step(self._step, len(self._nodes))
        node, seconds = self._nodes.get(key), str(STEPS[self._step][2])
        if node is None or node.annotations.get(ANNOTATION) == seconds:
            return DONE
        patch = {"metadata": {"uid": node.metadata.uid, "annotations": {ANNOTATION: seconds}}}
        with suppress(NotFound):  # it is gone
            await self._rest.patch(Node, key, "", patch, content_type=STRATEGIC_MERGE_PATCH)
        return DONE


CONTROLLER = ControllerSpec("ttl-controller", NodeTtl, [own(Node)])
