"""`nodes/proxy`: HTTP to a node's kubelet, with this server's own certificate, or to another port of the node.

Source: Kubernetes API reference, "Node", "connect GET requests to proxy of Node".
"""

from __future__ import annotations

from apiserver.proxy.forward import (
    PROXY_VERBS,
    Backend,
    check_address,
    forward,
    pod_context,
    port_number,
    rest_of_path,
    split_name,
)
from apiserver.proxy.kubelet import KubeletClient
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import PROXY_PARAMETERS, Subresource
from kubeapi.core.node import Node


async def proxy(request: Request, store: Store[Node], *, kubelet: KubeletClient) -> Answer:
    """Without a port, or with the kubelet's, to the kubelet."""
    scheme, name, port = split_name(request, "node")
    location = await kubelet.locate(name)
    path = rest_of_path(request)
    if not port or port == str(location.port):
        backend = Backend(location.host, location.port, path, kubelet.tls())
    else:
        check_address(location.host)
        backend = Backend(location.host, port_number(port), path, pod_context() if scheme == "https" else None)
    return await forward(request, backend)


SUBRESOURCE = Subresource(
    "nodes",
    "proxy",
    dict.fromkeys(PROXY_VERBS, proxy),
    kind="NodeProxyOptions",
    long_running=True,
    parameters=PROXY_PARAMETERS,
)
