"""Describes the storage that a pod brings along: its claims, and disks that only one pod at a time may write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.views.pod import Pod, Volume


@dataclass(frozen=True, slots=True)
class ClaimUse:
    """Names a claim of the pod's namespace; an `ephemeral` one is made for the pod."""

    name: str
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class Disk:
    """Names a disk of an in-tree source. `places` are the servers that it is reached by, if the source has several."""

    source: str
    id: str
    read_only: bool = False
    places: frozenset[str] = frozenset()

    def conflicts(self, other: Disk) -> bool:
        """Tells whether two pods of one node can't both have the disk; all may read one that none writes."""
        if (self.source, self.id) != (other.source, other.id) or (self.read_only and other.read_only):
            return False
        return not self.places or bool(self.places & other.places)


@dataclass(frozen=True, slots=True)
class PodStorage:
    namespace: str
    claims: tuple[ClaimUse, ...]
    disks: tuple[Disk, ...]

    @property
    def claim_keys(self) -> tuple[str, ...]:
        return tuple(f"{self.namespace}/{claim.name}" for claim in self.claims)


def pod_storage(pod: Pod) -> PodStorage | None:
    """Returns None for a pod whose volumes are nothing to the scheduler, as those of most."""
    if not pod.spec.volumes:
        return None
    claims = tuple(dict.fromkeys(_claims(pod)))
    disks = tuple(disk for volume in pod.spec.volumes for disk in _disks(volume))
    return PodStorage(pod.namespace, claims, disks) if claims or disks else None


def _claims(pod: Pod) -> Iterator[ClaimUse]:
    for volume in pod.spec.volumes or ():
        if volume.persistentVolumeClaim is not None:
            yield ClaimUse(volume.persistentVolumeClaim.claimName)
        elif volume.ephemeral is not None:
            yield ClaimUse(f"{pod.name}-{volume.name}", ephemeral=True)


def _disks(volume: Volume) -> Iterator[Disk]:
    if (gce := volume.gcePersistentDisk) is not None:
        yield Disk("gce", gce.pdName, bool(gce.readOnly))
    if (aws := volume.awsElasticBlockStore) is not None:
        yield Disk("aws", aws.volumeID)
    if (iscsi := volume.iscsi) is not None:
        yield Disk("iscsi", iscsi.iqn, bool(iscsi.readOnly))
    if (rbd := volume.rbd) is not None:
        yield Disk("rbd", f"{rbd.pool}/{rbd.image}", bool(rbd.readOnly), frozenset(rbd.monitors))
