"""`pods/proxy`: HTTP to a port of a pod.

Source: Kubernetes API reference, "Pod", "connect GET requests to proxy of Pod".
"""

from __future__ import annotations

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
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import PROXY_PARAMETERS, Subresource
from kubeapi.core.pod.model import Pod


async def proxy(request: Request, store: Store[Pod]) -> Answer:
    """To the port named, or the first that a container declares, or the scheme's own."""
    scheme, name, port = split_name(request, "pod")
    pod = await store.read_object(request.info.namespace, name)
    address = pod.status.podIP or ""
    check_address(address)
    number = port_number(port) if port else _declared_port(pod) or default_port(scheme)
    tls = pod_context() if scheme == "https" else None
    return await forward(request, Backend(address, number, rest_of_path(request), tls))


def _declared_port(pod: Pod) -> int:
    """0 when there is none."""
    ports = (container.ports[0].containerPort for container in pod.spec.containers if container.ports)
    return next(ports, 0)


SUBRESOURCE = Subresource(
    "pods",
    "proxy",
    dict.fromkeys(PROXY_VERBS, proxy),
    kind="PodProxyOptions",
    long_running=True,
    parameters=PROXY_PARAMETERS,
)
