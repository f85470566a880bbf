"""Node routes: has the cloud send packets for each node's pods to that node, where the cloud has routes."""

from __future__ import annotations

from apimachinery.conditions import get_condition
from apimachinery.errors import NotFound
from apimachinery.model import to_dict
from apimachinery.times import format_time
from cloudprovider.interface import CloudError, Route, Routes
from componentbase import logs
from kubeapi.core.node import Node, NodeCondition
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch
from kubeclient.rest import STRATEGIC_MERGE_PATCH

ALL = "routes"
"""The one key: routes are compared all at once, as those of nodes that are gone have no node to ask for them."""

log = logs.logger(__name__)


def plan_routes(nodes: list[Node], routes: list[Route]) -> tuple[list[Route], list[Route]]:
    """Returns the routes to delete and those to create, in this order."""
    wanted = {(node.name, cidr): node for node in nodes for cidr in node.spec.podCIDRs or ()}
    present = {(route.node_name, route.destination) for route in routes}
    delete = [route for route in routes if (route.node_name, route.destination) not in wanted]
    create = [
        Route(f"{node.name}-{number}", node.name, cidr)
        for node in nodes
        for number, cidr in enumerate(node.spec.podCIDRs or ())
        if (node.name, cidr) not in present
    ]
    return delete, create


class NodeRoutes:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        options = context.options
        self._routes: Routes | None = options.provider.routes if options.configure_cloud_routes else None
        self._nodes = context.informers.of(Node)

    async def reconcile(self, key: str) -> Result:
        if self._routes is None:
            return DONE
        nodes = [node for node in self._nodes.list() if node.metadata.deletionTimestamp is None]
        delete, create = plan_routes(nodes, list(await self._routes.list()))
        for route in delete:
            await self._routes.delete(route)
            log.info("route deleted", node=route.node_name, destination=route.destination)
        failed: dict[str, CloudError] = {}
        for route in create:
            try:
                await self._routes.create(route)
            except CloudError as error:
                failed[route.node_name] = error
                continue
            log.info("route created", node=route.node_name, destination=route.destination)
        for node in nodes:
            if node.spec.podCIDRs:
                await self._tell(node, failed.get(node.name))
        if failed:
            raise CloudError("; ".join(str(error) for error in failed.values()))
        return DONE

    async def _tell(self, node: Node, error: CloudError | None) -> None:
        """Sets the node's condition NetworkUnavailable; while it is true, no new pods come."""
        if error is not None:
            self._recorder.event(node, "Warning", "FailedToCreateRoute", f"Could not create route: {error}")
        status, reason, message = (
            ("False", "RouteCreated", "RouteController created a route")
            if error is None
            else ("True", "NoRouteCreated", "RouteController failed to create a route")
        )
        before = get_condition(node.status.conditions, "NetworkUnavailable")
        if before is not None and before.status == status:
            return
        now = format_time(self._clock.now())
        condition = NodeCondition(
            type="NetworkUnavailable",
            status=status,
            reason=reason,
            message=message,
            lastHeartbeatTime=now,
            lastTransitionTime=now,
        )
        patch = {"status": {"conditions": [to_dict(condition)]}}
        try:
            await self._rest.patch(Node, node.name, "", patch, content_type=STRATEGIC_MERGE_PATCH, subresource="status")
        except NotFound:
            return


def _changed(_: NodeRoutes, old: Node | None, new: Node | None) -> list[str]:
    same = old is not None and new is not None and old.spec.podCIDRs == new.spec.podCIDRs
    return [] if same else [ALL]


CONTROLLER = ControllerSpec(
    "node-route-controller",
    NodeRoutes,
    [Watch(Node, _changed)],
    workers=1,
    service_account="route-controller",
    event_source="route_controller",
)
