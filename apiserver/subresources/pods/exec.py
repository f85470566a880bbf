"""`pods/exec`: a command in a container, over WebSocket or SPDY.

Source: Kubernetes API reference, "Pod", "connect to exec of the specified Pod".
"""

from __future__ import annotations

from urllib.parse import urlencode

from apimachinery.errors import BadRequest
from apiserver.proxy.kubelet import KubeletClient
from apiserver.proxy.upgrade import check_upgrade, stream_query
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import Parameter, Subresource
from apiserver.subresources.pods._target import STREAM_PARAMETERS, choose_container, connect, kubelet_path, locate
from kubeapi.core.pod.model import Pod


async def exec_(request: Request, store: Store[Pod], *, kubelet: KubeletClient) -> Answer:
    """Returns when either side has closed."""
    pod = await store.read_object(request.info.namespace, request.info.name)
    container = choose_container(pod, request.parameter("container"))
    location = await locate(pod, kubelet)
    check_upgrade(request)
    command = request.query.get("command")
    if not command:
        raise BadRequest("you must specify at least one command for the container")
    query = urlencode(stream_query(request.query) + [("command", part) for part in command])
    return await connect(request, kubelet, location, kubelet_path("exec", pod, container), query)


SUBRESOURCE = Subresource(
    "pods",
    "exec",
    {"get": exec_, "create": exec_},
    kind="PodExecOptions",
    long_running=True,
    parameters=(
        Parameter("command", "The program and its arguments, one parameter each; no shell is involved.", "array"),
        *STREAM_PARAMETERS,
    ),
)
