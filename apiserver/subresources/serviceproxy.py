"""`services/proxy`: HTTP to a ready endpoint of a Service.

Source: Kubernetes API reference, "Service", "connect GET requests to proxy of Service".
"""

from __future__ import annotations

import random
from typing import Any

from apimachinery.errors import ServiceUnavailable
from apimachinery.model import decode
from apiserver.proxy.forward import PROXY_VERBS, Backend, check_address, forward, pod_context, rest_of_path, split_name
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import PROXY_PARAMETERS, Subresource


async def proxy(request: Request, store: Store[Any], *, stores: Stores) -> Answer:
    """The port is a port's name or number of the Service; "" is the port without a name."""
    scheme, name, port = split_name(request, "service")
    namespace = request.info.namespace
    service = await store.read_object(namespace, name)
    if port.isascii() and port.isdigit():
        port = _port_name(service, int(port))
    endpoints = _peek(stores, "endpoints", namespace, name)
    addresses = [
        (address.ip, endpoint_port.port)
        for subset in (endpoints.subsets if endpoints is not None else None) or ()
        for endpoint_port in subset.ports or ()
        if (endpoint_port.name or "") == port
        for address in subset.addresses or ()
    ]
    random.shuffle(addresses)
    ready = next(((ip, number) for ip, number in addresses if _is_pods(stores, endpoints, namespace, ip)), None)
    if ready is None:
        shown_name = name if endpoints is None or not endpoints.subsets else request.info.name
        raise ServiceUnavailable(f'no endpoints available for service "{shown_name}"')
    check_address(ready[0])
    tls = pod_context() if scheme == "https" else None
    return await forward(request, Backend(*ready, rest_of_path(request), tls))


def _port_name(service: Any, number: int) -> str:
    """Raises: ServiceUnavailable."""
    for port in service.spec.ports or ():
        if port.port == number:
            return port.name or ""
    raise ServiceUnavailable(f'no service port {number} found for service "{service.name}"')


def _is_pods(stores: Stores, endpoints: Any, namespace: str, ip: str) -> bool:
    """True for the address of a pod of this namespace: whoever may write Endpoints may not aim elsewhere."""
    for subset in endpoints.subsets:
        for address in subset.addresses or ():
            ref = address.targetRef
            if address.ip == ip and ref is not None and ref.kind == "Pod" and ref.namespace == namespace:
                pod = _peek(stores, "pods", namespace, ref.name or "")
                if pod is not None and ip in {pod.status.podIP, *(item.ip for item in pod.status.podIPs or ())}:
                    return True
    return False


def _peek(stores: Stores, plural: str, namespace: str, name: str) -> Any:
    store = stores.find(plural)
    entry = store.storage.peek(store.resource, namespace, name)
    return decode(store.resource.model, entry.value) if entry is not None else None


SUBRESOURCE = Subresource(
    "services",
    "proxy",
    dict.fromkeys(PROXY_VERBS, proxy),
    kind="ServiceProxyOptions",
    long_running=True,
    parameters=PROXY_PARAMETERS,
)
