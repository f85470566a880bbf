"""`pods/proxy`: HTTP to a port of a pod.

Source: Kubernetes API reference, "Pod", "connect GET requests to proxy of Pod".
"""

from __future__ import annotations

from typing import Any

from apimachinery.errors import BadRequest, object_not_found
from apimachinery.model import decode
from apiserver.handlers._shared import Target
from apiserver.main.context import Context
from apiserver.proxy.forward import (
    PROXY_VERBS,
    Backend,
    check_address,
    default_port,
    forward,
    pod_context,
    port_number,
    rest_of_path,
    split_name,
)
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import Subresource


async def proxy(context: Context, request: Request, target: Target) -> Answer:
    """To the port named, or the first that a container declares, or the scheme's own."""
    named = split_name(request.info.name)
    if named is None:
        raise BadRequest(f'invalid pod request "{request.info.name}"')
    scheme, name, port = named
    entry = await context.storage.get(target.resource, request.info.namespace, name, min_revision=None)
    if entry is None:
        raise object_not_found("pods", "", name)
    pod = decode(target.resource.model, entry.value)
    check_address(pod.status.podIP or "")
    number = port_number(port) if port else _declared_port(pod) or default_port(scheme)
    tls = pod_context() if scheme == "https" else None
    return await forward(context, request, Backend(pod.status.podIP, number, rest_of_path(request), tls))


def _declared_port(pod: Any) -> int:
    """0 when there is none."""
    ports = (container.ports[0].containerPort for container in pod.spec.containers if container.ports)
    return next(ports, 0)


SUBRESOURCE = Subresource("pods", "proxy", dict.fromkeys(PROXY_VERBS, proxy), kind="PodProxyOptions", long_running=True)
