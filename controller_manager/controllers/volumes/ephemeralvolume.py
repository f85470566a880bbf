"""Ephemeral volumes: makes the claims that a pod has templates of. They belong to the pod, and go with it.

Source: Kubernetes documentation, "Ephemeral Volumes", "Generic ephemeral volumes".
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.errors import AlreadyExists, StatusError
from apimachinery.meta import ObjectMeta
from controller_manager.controllers.volumes._poduse import (
    CLAIM_INDEX,
    index_by_claim,
    is_made_for,
)
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import claim_name
from kubeapi.core.pod.volumes import Volume
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, owner_reference


def claim_for(pod: Pod, volume: Volume) -> PersistentVolumeClaim:
    """Makes the claim of an ephemeral volume from its template."""
    template = volume.ephemeral.volumeClaimTemplate if volume.ephemeral is not None else None
    assert template is not None, "validation asks for it"
    meta = ObjectMeta(
        name=claim_name(pod.name, volume),
        namespace=pod.namespace,
        labels=template.metadata.labels,
        annotations=template.metadata.annotations,
        ownerReferences=[owner_reference(pod)],
    )
    return PersistentVolumeClaim(metadata=meta, spec=template.spec.clone())


class EphemeralVolumes:
    """Keys are pods."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder = context.rest, context.recorder
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(PersistentVolumeClaim)
        index_by_claim(self._pods)

    def new_pod(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes a pod that has such volumes."""
        if old is None and new is not None and any(volume.ephemeral for volume in new.spec.volumes or ()):
            yield new.key

    def pods_of_claim(self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> Iterable[str]:
        """Wakes the pods whose claim was deleted: it may be made again, or at last."""
        if old is not None and new is None:
            for pod in self._pods.by_index(CLAIM_INDEX, old.key):
                yield pod.key

    async def reconcile(self, key: str) -> Result:
        pod = self._pods.get(key)
        if pod is None or pod.metadata.deletionTimestamp is not None or is_terminal(pod.status.phase):
            return DONE
        for volume in pod.spec.volumes or ():
            if volume.ephemeral is not None and (why := await self._ensure(pod, volume)):
                self._recorder.event(pod, "Warning", "FailedBinding", f"ephemeral volume {volume.name}: {why}")
        return DONE

    async def _ensure(self, pod: Pod, volume: Volume) -> str:
        """Makes the claim unless there is one, and says what is wrong with that one. Raises: StatusError."""
        claim = claim_for(pod, volume)
        existing = self._claims.get(claim.key)
        if existing is None:
            try:
                await self._rest.create(claim)
                return ""
            except AlreadyExists:
                existing = await self._rest.get(PersistentVolumeClaim, claim.name, claim.namespace)
            except StatusError as error:
                why = f"create PVC {claim.name}: {error}"
                self._recorder.event(pod, "Warning", "FailedBinding", f"ephemeral volume {volume.name}: {why}")
                raise
        if is_made_for(existing, pod):
            return ""
        return f"PVC {existing.key} was not created for pod {pod.key} (pod is not owner)"


CONTROLLER = ControllerSpec(
    "ephemeral-volume-controller",
    EphemeralVolumes,
    [Watch(Pod, EphemeralVolumes.new_pod), Watch(PersistentVolumeClaim, EphemeralVolumes.pods_of_claim)],
    workers_flag="--concurrent-ephemeralvolume-syncs",
    subjects="pods with ephemeral volumes",
    event_source="ephemeral_volume",
)
