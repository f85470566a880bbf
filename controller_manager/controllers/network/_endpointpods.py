"""Finds the pods behind a Service and their ports, for the Endpoints and EndpointSlice controllers."""

from __future__ import annotations

from collections.abc import Iterator

from controller_manager.podstate import is_ready
from kubeapi.core.pod.lifecycle import is_sidecar, is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.headless import HEADLESS
from kubeapi.core.service.model import Service, ServicePort
from kubeclient.controller import latest
from kubeclient.informer import Informer

BATCH_SECONDS = 0.03
"""Changes of pods wait this long for others: pods of one rollout change together, and a Service is written whole."""


def has_endpoints(service: Service) -> bool:
    """False without a selector, where endpoints are somebody else's business, and for an ExternalName."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def is_headless(service: Service) -> bool:
    return service.spec.clusterIP == HEADLESS


def selects(service: Service, pod: Pod) -> bool:
    return bool(service.spec.selector) and (service.spec.selector or {}).items() <= pod.labels.items()


def pods_behind(service: Service, pods: Informer[Pod]) -> list[Pod]:
    """Lists the selected pods that have an address and have not ended, including those that are being deleted."""
    return [
        pod
        for pod in pods.list(service.namespace)
        if selects(service, pod) and not is_terminal(pod.status.phase) and pod_addresses(pod)
    ]


def pod_addresses(pod: Pod) -> list[str]:
    status = pod.status
    return [each.ip for each in status.podIPs or () if each.ip] or ([status.podIP] if status.podIP else [])


def family_of(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def target_port(pod: Pod, port: ServicePort) -> int | None:
    """Returns the pod's port behind a Service's port; None when it has none of that name and protocol."""
    target = port.targetPort
    if target is None or target == 0 or target == "":
        return port.port
    if isinstance(target, int):
        return target
    sidecars = [container for container in pod.spec.initContainers or () if is_sidecar(container)]
    for container in (*pod.spec.containers, *sidecars):
        for declared in container.ports or ():
            if declared.name == target and declared.protocol == port.protocol:
                return declared.containerPort
    return None


def ports_behind(service: Service, pod: Pod) -> list[tuple[ServicePort, int]]:
    """Pairs each port of the Service with the pod's port behind it, where the pod has one."""
    pairs = ((port, target_port(pod, port)) for port in service.spec.ports or ())
    return [(port, number) for port, number in pairs if number is not None]


def hostname_of(pod: Pod, service: Service) -> str | None:
    """Returns the name that a headless Service gives the pod in DNS."""
    return pod.spec.hostname if pod.spec.hostname and pod.spec.subdomain == service.name else None


def services_of(old: Pod | None, new: Pod | None, services: Informer[Service]) -> Iterator[str]:
    """Yields the keys of the Services for which a change of a pod matters."""
    if old is not None and new is not None and _what_matters(old) == _what_matters(new):
        return
    pod = latest(old, new)
    for service in services.list(pod.namespace):
        if has_endpoints(service) and any(each is not None and selects(service, each) for each in (old, new)):
            yield service.key


def _what_matters(pod: Pod) -> tuple[object, ...]:
    return (
        pod.metadata.uid,
        pod.metadata.labels,
        pod.metadata.deletionTimestamp,
        pod.spec.nodeName,
        pod.status.podIP,
        pod.status.podIPs,
        is_terminal(pod.status.phase),
        is_ready(pod),
    )
