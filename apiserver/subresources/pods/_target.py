"""The container of a pod that a request for logs, exec or attach means, and the way to it through the kubelet."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from apimachinery.errors import BadRequest
from apiserver.proxy.kubelet import KubeletClient, Location, refusal
from apiserver.proxy.upgrade import OWN_HEADERS, join
from apiserver.request.message import Answered, Request
from apiserver.subresources._subresource import Parameter

CONTAINER = Parameter(
    "container", "The name of the container. Default: the default container of the pod, or its only one."
)
STREAM_PARAMETERS = (
    CONTAINER,
    Parameter("stderr", "Whether the error output of the process goes to the client.", "boolean"),
    Parameter("stdin", "Whether the client's input goes to the process.", "boolean"),
    Parameter("stdout", "Whether the output of the process goes to the client.", "boolean"),
    Parameter("tty", "Whether the process has a terminal, which joins output and error output.", "boolean"),
)


async def locate(pod: Any, kubelet: KubeletClient) -> Location:
    """Finds the pod's kubelet. Raises: BadRequest for a pod without a node; NotFound; UnclassifiedError."""
    if not pod.spec.nodeName:
        raise BadRequest(f"pod {pod.name} does not have a host assigned")
    return await kubelet.locate(pod.spec.nodeName)


def kubelet_path(action: str, pod: Any, *rest: str) -> str:
    return "/" + "/".join(quote(part) for part in (action, pod.namespace, pod.name, *rest))


async def connect(request: Request, kubelet: KubeletClient, location: Location, path: str, query: str) -> Answered:
    """Joins the client to what the kubelet has at the path; returns when either side has closed."""
    headers = [header for header in request.headers if header[0] not in OWN_HEADERS]
    response = await kubelet.open(location, f"{path}?{query}", headers, may_switch=True)
    if response.status != 101:
        raise await refusal(response)
    await join(request, response)
    return Answered(101)


def choose_container(pod: Any, name: str) -> str:
    """Returns the container asked for; without a name the pod's only regular one.

    Raises: BadRequest with the names to choose from.
    """
    spec = pod.spec
    regular = [container.name for container in spec.containers or ()]
    init = [container.name for container in spec.initContainers or ()]
    ephemeral = [container.name for container in spec.ephemeralContainers or ()]
    if name:
        if name not in (*regular, *init, *ephemeral):
            raise BadRequest(f"container {name} is not valid for pod {pod.name}")
        return name
    if len(regular) == 1:
        return str(regular[0])
    message = f"a container name must be specified for pod {pod.name}, choose one of: [{' '.join(regular)}]"
    if init:
        message += f" or one of the init containers: [{' '.join(init)}]"
    if ephemeral:
        message += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
    raise BadRequest(message)
