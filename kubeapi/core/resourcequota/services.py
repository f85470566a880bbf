"""What Services use of a quota: their number, their node ports and their load balancers."""

from __future__ import annotations

from apimachinery.quantity import ResourceList
from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.core.service.model import Service


class ServiceEvaluator(Evaluator):
    model = Service
    charged_updates = frozenset({""})

    def __init__(self, group: str, plural: str) -> None:
        super().__init__(group, plural)
        self._names = self._names | {"services", "services.nodeports", "services.loadbalancers"}

    def usage(self, obj: Service, now: float) -> ResourceList:
        balanced = obj.spec.type == "LoadBalancer"
        return {
            self.count: "1",
            "services": "1",
            "services.nodeports": str(_node_ports(obj)),
            "services.loadbalancers": "1" if balanced else "0",
        }

    def may_free(self, old: Service, new: Service | None) -> bool:
        return new is None or old.spec != new.spec


def _node_ports(service: Service) -> int:
    """A LoadBalancer that wants no node ports has those that it names."""
    ports = service.spec.ports or ()
    if service.spec.type == "NodePort":
        return len(ports)
    if service.spec.type != "LoadBalancer":
        return 0
    if service.spec.allocateLoadBalancerNodePorts is not False:
        return len(ports)
    return sum(1 for port in ports if port.nodePort)
