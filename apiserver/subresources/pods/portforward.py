"""`pods/portforward`: connections to ports inside a pod, over WebSocket or SPDY.

Source: Kubernetes API reference, "Pod", "connect to portforward of the specified Pod".
"""

from __future__ import annotations

from urllib.parse import urlencode

from apimachinery.errors import BadRequest
from apiserver.proxy.kubelet import KubeletClient
from apiserver.proxy.upgrade import check_upgrade
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request
from apiserver.request.query import Query
from apiserver.subresources._subresource import Parameter, Subresource
from apiserver.subresources.pods._target import connect, kubelet_path, locate
from kubeapi.core.pod.model import Pod


async def port_forward(request: Request, store: Store[Pod], *, kubelet: KubeletClient) -> Answer:
    """Returns when either side has closed."""
    pod = await store.read_object(request.info.namespace, request.info.name)
    location = await locate(pod, kubelet)
    check_upgrade(request)
    query = port_query(request.query)
    return await connect(request, kubelet, location, kubelet_path("portForward", pod), query)


def port_query(query: Query) -> str:
    """The kubelet's query: the ports of a WebSocket whose channels carry them. Raises: BadRequest."""
    ports = [port for text in query.get("ports", ()) for port in text.split(",") if port]
    for port in ports:
        if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
            raise BadRequest(f'ports: Invalid value: "{port}": must be between 1 and 65535, inclusive')
    return urlencode({"port": ",".join(ports)}) if ports else ""


SUBRESOURCE = Subresource(
    "pods",
    "portforward",
    {"get": port_forward, "create": port_forward},
    kind="PodPortForwardOptions",
    long_running=True,
    parameters=(Parameter("ports", "The ports of the pod to forward.", "array"),),
)
