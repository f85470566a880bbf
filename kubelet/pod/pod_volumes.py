"""Prepares the files that a pod's containers share: its volumes and its hosts file."""

from __future__ import annotations

import os
from dataclasses import dataclass

from kubeapi.core.pod.model import Pod
from kubelet.container.downward import NodeView, pod_addresses
from kubelet.container.events import Events
from kubelet.container.spec import all_containers
from kubelet.network.names import HOSTS_PATH, managed_hosts, pod_names
from kubelet.pod.status.compute import Waiting
from kubelet.pod.work import ContainerSetup, PodWork, SyncFailed
from kubelet.runtime.configs import Mount
from kubelet.runtime.interface import PodRuntimeStatus
from kubelet.volume.interface import VolumeError
from kubelet.volume.manager import VolumeFailure, VolumeManager
from kubelet.volume.objects import ObjectsNotSynced, ObjectStore


@dataclass(frozen=True, slots=True)
class PodVolumes:
    """`cluster_domain` is the domain of Services, which a subdomain of the pod is in."""

    volumes: VolumeManager
    objects: ObjectStore
    node: NodeView
    events: Events
    cluster_domain: str

    def has_live(self, work: PodWork) -> bool:
        """Tells whether any volume of the pod follows the API."""
        return self.volumes.has_live(work.pod)

    async def prepare(self, work: PodWork, status: PodRuntimeStatus | None) -> ContainerSetup:
        """Sets up the volumes, or brings them up to date. Raises: SyncFailed; Stopping."""
        pod, sandbox = work.pod, status.sandbox if status else None
        pod_ips = pod_addresses(sandbox, self.node.facts().ips)
        try:
            self.objects.use(work.uid, self.volumes.references(pod))
            await work.unless_stopping(self.objects.wait_synced(work.uid))
            mounted = await work.unless_stopping(self.volumes.set_up(pod, self.node.facts(), pod_ips))
            hosts = self._hosts_file(pod, pod_ips) if sandbox is not None else None
        except (VolumeFailure, ObjectsNotSynced, OSError) as error:
            if isinstance(error, VolumeFailure) and error.image_reason:
                self._wait_for_image(work, error)
            else:
                device = isinstance(error, VolumeFailure) and error.device
                self.events.event(pod, "Warning", "FailedMapVolume" if device else "FailedMount", str(error))
            raise SyncFailed(str(error)) from None
        running = {item.name: item.id for item in status.containers if item.state == "running"} if status else {}
        return ContainerSetup(sandbox.id if sandbox else "", pod_ips, mounted, hosts, running)

    def _wait_for_image(self, work: PodWork, failure: VolumeFailure) -> None:
        """Has the containers that mount the volume say what they wait for; the pull's own events tell the rest."""
        for _, container in all_containers(work.pod):
            if any(mount.name == failure.volume for mount in container.volumeMounts or ()):
                work.waiting[container.name] = Waiting(failure.image_reason, failure.why)

    async def release(self, work: PodWork) -> None:
        """Ends the watches of the pod's objects, the renewal of its tokens and its mounts: nothing of it runs any more.

        Raises: SyncFailed; OSError.
        """
        self.objects.use(work.uid, ())
        self.volumes.forget(work.uid)
        try:
            await self.volumes.unmount(work.uid)
        except VolumeError as error:
            raise SyncFailed(str(error)) from None

    async def remove(self, work: PodWork) -> None:
        """Removes the pod's files; no container of it may be left. Raises: RuntimeUnavailable; SyncFailed; OSError."""
        try:
            await self.volumes.tear_down(work.uid)
        except VolumeError as error:
            raise SyncFailed(str(error)) from None

    def _hosts_file(self, pod: Pod, pod_ips: tuple[str, ...]) -> Mount:
        """Writes in place, because a file that is mounted keeps its inode."""
        node_hosts = _read_text(HOSTS_PATH) if pod.spec.hostNetwork else ""
        text = managed_hosts(pod, pod_ips, pod_names(pod, self.cluster_domain), node_hosts=node_hosts)
        path = os.path.join(self.volumes.pod_dir(pod.metadata.uid or ""), "etc-hosts")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if _read_text(path) != text:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        os.chmod(path, 0o644)
        return Mount(HOSTS_PATH, source=path)


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
