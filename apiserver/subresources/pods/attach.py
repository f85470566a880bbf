"""`pods/attach`: the input and output of a container's own process, over WebSocket or SPDY.

Source: Kubernetes API reference, "Pod", "connect to attach of the specified Pod".
"""

from __future__ import annotations

from urllib.parse import urlencode

from apiserver.proxy.kubelet import KubeletClient
from apiserver.proxy.upgrade import check_upgrade, stream_query
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import Subresource
from apiserver.subresources.pods._target import STREAM_PARAMETERS, choose_container, connect, kubelet_path, locate
from kubeapi.core.pod.model import Pod


async def attach(request: Request, store: Store[Pod], *, kubelet: KubeletClient) -> Answer:
    """Returns when either side has closed."""
    pod = await store.read_object(request.info.namespace, request.info.name)
    container = choose_container(pod, request.parameter("container"))
    location = await locate(pod, kubelet)
    check_upgrade(request)
    query = urlencode(stream_query(request.query))
    return await connect(request, kubelet, location, kubelet_path("attach", pod, container), query)


SUBRESOURCE = Subresource(
    "pods",
    "attach",
    {"get": attach, "create": attach},
    kind="PodAttachOptions",
    long_running=True,
    parameters=STREAM_PARAMETERS,
)
