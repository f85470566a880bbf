"""Finds the PersistentVolume behind a pod's volume: the claim that it names or that was made for it, and its volume."""

from __future__ import annotations

from dataclasses import dataclass

from apimachinery.errors import NotFound, StatusError
from apimachinery.meta import controller_of
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import BOUND, PersistentVolumeClaim
from kubeapi.core.pod import references
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.nodeselection import terms_match
from kubeapi.core.pod.volumes import Volume
from kubeclient.rest import RestClient
from kubelet.container.downward import NodeFacts
from kubelet.volume.interface import VolumeError


@dataclass(frozen=True, slots=True)
class ClaimName:
    name: str
    ephemeral: bool
    read_only: bool


def claim_name(pod: Pod, volume: Volume) -> ClaimName | None:
    """Returns None for a volume that has no claim."""
    name, source = references.claim_name(pod.name, volume), volume.persistentVolumeClaim
    return ClaimName(name, source is None, bool(source and source.readOnly)) if name else None


class Claims:
    """Asks the API, as a node may get the claims and volumes of its pods but not watch them.

    A bound volume is remembered while its pod uses it: its source never changes.
    """

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest
        self._volumes: dict[tuple[str, str], PersistentVolume] = {}

    async def volume_of(self, pod: Pod, name: ClaimName, node: NodeFacts) -> PersistentVolume:
        """Raises: VolumeError while the claim is not bound."""
        key = (pod.metadata.uid or "", name.name)
        volume = self._volumes.get(key)
        if volume is None:
            try:
                volume = await self._find(pod, name)
            except VolumeError as error:
                raise VolumeError(f"error processing PVC {pod.namespace}/{name.name}: {error}") from None
            check_node_affinity(volume, node)
            self._volumes[key] = volume
        return volume

    def forget(self, uid: str) -> None:
        for key in [key for key in self._volumes if key[0] == uid]:
            del self._volumes[key]

    async def _find(self, pod: Pod, name: ClaimName) -> PersistentVolume:
        try:
            claim = await self._rest.get(PersistentVolumeClaim, name.name, pod.namespace)
        except (StatusError, OSError) as error:
            raise VolumeError(f"failed to fetch PVC from API server: {error}") from None
        owner = controller_of(claim)
        if name.ephemeral and (owner is None or owner.uid != pod.metadata.uid):
            raise VolumeError(f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)")
        if claim.metadata.deletionTimestamp is not None:
            raise VolumeError("can't start pod because PVC is being deleted")
        if claim.status.phase != BOUND or not claim.spec.volumeName:
            raise VolumeError("PVC is not bound")
        try:
            volume = await self._rest.get(PersistentVolume, claim.spec.volumeName, "")
        except NotFound:
            raise VolumeError(f'persistentvolume "{claim.spec.volumeName}" not found') from None
        except (StatusError, OSError) as error:
            raise VolumeError(f"failed to fetch PV {claim.spec.volumeName} from API server: {error}") from None
        reference = volume.spec.claimRef
        if reference is None or reference.uid != claim.metadata.uid:
            raise VolumeError(f"PV {volume.name} is bound to another claim")
        return volume


def check_node_affinity(volume: PersistentVolume, node: NodeFacts) -> None:
    """Keeps a pod that no scheduler has placed from a folder that happens to be here too. Raises: VolumeError."""
    required = volume.spec.nodeAffinity.required if volume.spec.nodeAffinity is not None else None
    if required is not None and not terms_match(required.nodeSelectorTerms, node.name, node.labels):
        raise VolumeError(f'NodeAffinity check failed for volume "{volume.name}": no matching NodeSelectorTerms')
