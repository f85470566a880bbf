"""Which container of which pod a request for logs or exec means, and where its kubelet is."""

from __future__ import annotations

from typing import Any

from apimachinery.errors import BadRequest, object_not_found
from apimachinery.model import decode
from apiserver.handlers._shared import Target
from apiserver.main.context import Context
from apiserver.request.message import Request


async def find_pod(context: Context, request: Request, target: Target) -> Any:
    """Raises: NotFound."""
    info = request.info
    entry = await context.storage.get(target.resource, info.namespace, info.name, min_revision=None)
    if entry is None:
        raise object_not_found(target.resource.plural, "", info.name)
    return decode(target.resource.model, entry.value)


def choose_container(pod: Any, wanted: str) -> str:
    """The container asked for; without one the pod's only one.

    Raises: BadRequest with the names to choose from.
    """
    spec = pod.spec
    regular = [container.name for container in spec.containers or ()]
    init = [container.name for container in spec.initContainers or ()]
    ephemeral = [container.name for container in spec.ephemeralContainers or ()]
    if wanted:
        if wanted not in (*regular, *init, *ephemeral):
            raise BadRequest(f"container {wanted} is not valid for pod {pod.name}")
        return wanted
    if len(regular) == 1 and not init and not ephemeral:
        return str(regular[0])
    message = f"a container name must be specified for pod {pod.name}, choose one of: [{' '.join(regular)}]"
    if init:
        message += f" or one of the init containers: [{' '.join(init)}]"
    if ephemeral:
        message += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
    raise BadRequest(message)
