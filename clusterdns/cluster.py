"""What the API server says of Services, endpoints, namespaces and, where they are asked for, pods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address

from kubeapi.core.namespace import Namespace
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import SERVICE_NAME_LABEL, EndpointSlice
from kubeclient.informer import Informer, Informers
from kubeclient.rest import RestClient

OF_SERVICE, BY_ADDRESS = "service", "address"


class WatchedCluster:
    """The `Cluster` of the records. `changed` is told the Service, as "namespace/name"; "" where any may differ."""

    def __init__(self, rest: RestClient, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self.serial = 0
        self._informers = Informers(rest)
        self._services = self._informers.of(Service)
        self._slices = self._informers.of(EndpointSlice, label_selector=SERVICE_NAME_LABEL)
        self._namespaces = self._informers.of(Namespace)
        self._pods: Informer[Pod] | None = None
        self._services.add_index(BY_ADDRESS, lambda item: item.spec.clusterIPs or ())
        self._slices.add_index(BY_ADDRESS, _addresses)
        self._slices.add_index(OF_SERVICE, lambda item: (item.service_key,))
        self._services.add_handler(self._service_changed)
        self._slices.add_handler(self._slice_changed)
        self._namespaces.add_handler(self._many_changed)

    def watch_pods(self) -> None:
        """From now on watches all pods of the cluster too, which costs each node their number in memory."""
        if self._pods is None:
            self._pods = self._informers.of(Pod, trim=_trim_pod)
            self._pods.add_index(BY_ADDRESS, lambda pod: [item.ip for item in pod.status.podIPs or () if item.ip])
            self._pods.add_handler(self._many_changed)

    async def run(self) -> None:
        await self._informers.run()

    async def wait_synced(self) -> None:
        for informer in (self._services, self._slices, self._namespaces):
            await informer.wait_synced()

    @property
    def synced(self) -> bool:
        return self._services.synced and self._slices.synced and self._namespaces.synced

    def service(self, namespace: str, name: str) -> Service | None:
        return self._services.get(f"{namespace}/{name}")

    def slices(self, namespace: str, name: str) -> Iterable[EndpointSlice]:
        return self._slices.by_index(OF_SERVICE, f"{namespace}/{name}")

    def has_namespace(self, name: str) -> bool:
        return self._namespaces.get(name) is not None

    def has_pod(self, namespace: str, address: str) -> bool:
        return self._pods is not None and any(
            pod.namespace == namespace for pod in self._pods.by_index(BY_ADDRESS, address)
        )

    def services_at(self, address: str) -> Iterable[Service]:
        return self._services.by_index(BY_ADDRESS, address)

    def slices_at(self, address: str) -> Iterable[EndpointSlice]:
        return self._slices.by_index(BY_ADDRESS, address)

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        for item in (old, new):
            if item is not None:
                self._tell(item.key)

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for item in (old, new):
            if item is not None:
                self._tell(item.service_key)

    def _many_changed(self, old: Namespace | Pod | None, new: Namespace | Pod | None) -> None:
        self._tell("")

    def _tell(self, subject: str) -> None:
        self.serial = (self.serial + 1) % (1 << 32)
        self._changed(subject)


def _addresses(item: EndpointSlice) -> Iterable[str]:
    if item.addressType == "FQDN":
        return ()
    return {str(ip_address(address)) for endpoint in item.endpoints or () for address in endpoint.addresses}


def _trim_pod(item: Pod) -> None:
    """Keeps only what names a pod, and its addresses."""
    addresses = item.status.podIPs
    item.metadata.annotations = item.metadata.labels = item.metadata.ownerReferences = None
    item.spec, item.status = type(item.spec)(), type(item.status)(podIPs=addresses)
