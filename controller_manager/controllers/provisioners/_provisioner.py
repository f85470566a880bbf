"""Makes, grows and deletes the volumes of one provisioner; its file says where their folders lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from apimachinery.conditions import is_true
from apimachinery.errors import AlreadyExists, NotFound
from componentbase import logs
from controller_manager.controllers.provisioners import _provisioning as provisioning
from controller_manager.controllers.provisioners._nodefolders import FolderError
from controller_manager.controllers.volumes import _expansion as expansion
from kubeapi.core.node import Node
from kubeapi.core.persistentvolume.binding import PROVISIONED_BY, SELECTED_NODE, claim_class
from kubeapi.core.persistentvolume.model import PersistentVolume, PersistentVolumeSpec
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.storage.storageclass import StorageClass
from kubeclient.controller import DONE, ControllerContext, Result, Watch

CLAIM, VOLUME = "claim", "volume"
"""Begin the keys: "claim/NAMESPACE/NAME", "volume/NAME"."""

log = logs.logger(__name__)


class Backend(Protocol):
    """Where the folders of a provisioner lie."""

    abilities: provisioning.Abilities

    async def make(self, claim: PersistentVolumeClaim, storage_class: StorageClass) -> PersistentVolumeSpec | None:
        """Makes the claim's folder, and returns what leads to it; None where another node has to be chosen first.

        Raises: FolderError.
        """

    async def unmake(self, claim: PersistentVolumeClaim) -> None:
        """Deletes the folder of a claim that has no volume. Raises: FolderError."""

    async def delete(self, volume: PersistentVolume) -> None:
        """Deletes the folder of a volume. Raises: FolderError."""


class Provisioner:
    """Keys are claims and volumes."""

    def __init__(self, context: ControllerContext, backend: Backend) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._volumes = context.informers.of(PersistentVolume)
        self._classes = context.informers.of(StorageClass)
        self._backend = backend
        self._name = backend.abilities.provisioner
        self._failing: set[str] = set()
        """The keys that no node could help yet; one that comes back may."""

    def changed_claim(self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> Iterable[str]:
        """Wakes a claim that was handed over to this provisioner."""
        if new is not None and provisioning.is_asked(new, self._name):
            yield f"{CLAIM}/{new.key}"

    def changed_volume(self, old: PersistentVolume | None, new: PersistentVolume | None) -> Iterable[str]:
        """Wakes a volume that this provisioner has made."""
        if new is not None and new.annotations.get(PROVISIONED_BY) == self._name:
            yield f"{VOLUME}/{new.name}"

    def changed_class(self, old: StorageClass | None, new: StorageClass | None) -> Iterable[str]:
        """Wakes the claims that were handed over before the class was known here."""
        if old is None and new is not None and new.provisioner == self._name:
            for claim in self._claims.list():
                if claim_class(claim) == new.name:
                    yield from self.changed_claim(None, claim)

    def ready_node(self, old: Node | None, new: Node | None) -> Iterable[str]:
        """Wakes what waits for a node, whose backoff may have grown long, when one becomes ready."""
        return list(self._failing) if _is_ready(new) and not _is_ready(old) else []

    async def reconcile(self, key: str) -> Result:
        self._failing.discard(key)
        try:
            await self._sync(key)
        except FolderError:
            self._failing.add(key)
            raise
        return DONE

    async def _sync(self, key: str) -> None:
        kind, _, rest = key.partition("/")
        if kind == CLAIM:
            claim = self._claims.get(rest)
            if claim is not None and provisioning.is_asked(claim, self._name):
                await self._sync_claim(claim)
        elif (volume := self._volumes.get(rest)) is not None:
            await self._sync_volume(volume)

    async def _sync_claim(self, claim: PersistentVolumeClaim) -> None:
        storage_class = self._classes.get(claim_class(claim) or "")
        if storage_class is not None and storage_class.provisioner != self._name:
            storage_class = None
        volume = self._volumes.get(provisioning.volume_name(claim))
        if volume is not None and not provisioning.is_made_for(volume, claim):
            volume = None
        step = provisioning.plan_claim(claim, storage_class, volume)
        if step == "provision":
            assert storage_class is not None
            await self._provision(claim, storage_class)
        elif step == "undo":
            await self._undo(claim)
        elif step == "settle":
            await self._settle(claim)
        elif volume is not None and claim.spec.volumeName == volume.name and expansion.wants_to_grow(claim):
            await self._grow(claim, volume)

    async def _provision(self, claim: PersistentVolumeClaim, storage_class: StorageClass) -> None:
        if why := provisioning.refusal(claim, storage_class, self._backend.abilities):
            self._failed(claim, storage_class, why)
            return
        self._recorder.event(
            claim, "Normal", "Provisioning", f'External provisioner is provisioning volume for claim "{claim.key}"'
        )
        if provisioning.CLAIM_FINALIZER not in (claim.metadata.finalizers or ()):
            claim = await self._rest.update(provisioning.with_finalizer(claim))
        try:
            source = await self._backend.make(claim, storage_class)
        except FolderError as error:
            self._failed(claim, storage_class, str(error))
            raise
        if source is None:
            self._failed(claim, storage_class, "the selected node is gone")
            await self._settle(claim, reselect=True)
            return
        volume = provisioning.new_volume(claim, storage_class, self._name, source)
        try:
            await self._rest.create(volume)
        except AlreadyExists:  # of an attempt whose answer was lost, or forged
            if not provisioning.is_made_for(await self._rest.get(PersistentVolume, volume.name), claim):
                self._failed(claim, storage_class, f"a volume {volume.name} of another claim exists")
                return
        log.info("volume provisioned", volume=volume.name, claim=claim.key)
        self._recorder.event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {volume.name}")
        await self._settle(claim)

    def _failed(self, claim: PersistentVolumeClaim, storage_class: StorageClass, why: str) -> None:
        message = f'failed to provision volume with StorageClass "{storage_class.name}": {why}'
        self._recorder.event(claim, "Warning", "ProvisioningFailed", message)

    async def _undo(self, claim: PersistentVolumeClaim) -> None:
        """Deletes the folder of a claim that wants none any more, if no volume has come of it."""
        try:
            await self._rest.get(PersistentVolume, provisioning.volume_name(claim))
        except NotFound:
            await self._backend.unmake(claim)
        await self._settle(claim)

    async def _settle(self, claim: PersistentVolumeClaim, *, reselect: bool = False) -> None:
        """Ends what was begun for the claim; with `reselect` the scheduler is to choose another node."""

        def change(fresh: PersistentVolumeClaim) -> PersistentVolumeClaim | None:
            if fresh.metadata.uid != claim.metadata.uid:
                return None
            if reselect and fresh.metadata.annotations:
                fresh.metadata.annotations.pop(SELECTED_NODE, None)
            return fresh if provisioning.drop_finalizer(fresh, provisioning.CLAIM_FINALIZER) else None

        try:
            await self._rest.update_with(PersistentVolumeClaim, claim.name, claim.namespace, change)
        except NotFound:
            return

    async def _grow(self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
        """Raises the sizes that are written down; a folder itself has no size."""
        if changed := expansion.resizing_claim(claim, self._clock.now()):
            self._recorder.event(claim, "Normal", "Resizing", f"External resizer is resizing volume {volume.name}")
            claim = await self._rest.update(changed, "status")
        if grown := expansion.grown_volume(volume, claim):
            volume = await self._rest.update(grown)
        await self._rest.update(expansion.resized_claim(claim, volume), "status")
        self._recorder.event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")

    async def _sync_volume(self, volume: PersistentVolume) -> None:
        step = provisioning.plan_volume(volume)
        if step == "let go":
            await self._let_go(volume)
        elif step == "reclaim" and await self._may_be_deleted(volume):
            try:
                await self._backend.delete(volume)
            except FolderError as error:
                self._recorder.event(volume, "Warning", "VolumeFailedDelete", str(error))
                raise
            log.info("folder of volume deleted", volume=volume.name)
            await self._let_go(volume)
            try:
                await self._rest.delete(PersistentVolume, volume.name, uid=volume.metadata.uid)
            except NotFound:
                return

    async def _let_go(self, volume: PersistentVolume) -> None:
        def change(fresh: PersistentVolume) -> PersistentVolume | None:
            same = fresh.metadata.uid == volume.metadata.uid
            return fresh if same and provisioning.drop_finalizer(fresh, provisioning.VOLUME_FINALIZER) else None

        try:
            await self._rest.update_with(PersistentVolume, volume.name, "", change)
        except NotFound:
            return

    async def _may_be_deleted(self, volume: PersistentVolume) -> bool:
        """Asks the server: the policy may be Retain by now, and the claim has to be gone, not just unseen."""
        uid = provisioning.claim_uid(volume)
        if not uid:
            why = f"the name of volume {volume.name} is not that of a volume which was made for its claim"
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", why)
            return False
        try:
            fresh = await self._rest.get(PersistentVolume, volume.name)
        except NotFound:
            return False
        if fresh.metadata.uid != volume.metadata.uid or provisioning.plan_volume(fresh) != "reclaim":
            return False
        ref = fresh.spec.claimRef
        claim = next((item for item in self._claims.list() if item.metadata.uid == uid), None)
        if ref is not None:
            try:
                claim = await self._rest.get(PersistentVolumeClaim, ref.name or "", ref.namespace or "")
            except NotFound:
                return True
        return claim is None or claim.metadata.uid != uid or claim.spec.volumeName not in (None, "", volume.name)


def _is_ready(node: Node | None) -> bool:
    return node is not None and is_true(node.status.conditions, "Ready")


WATCHES: tuple[Watch[Provisioner, Any], ...] = (
    Watch(PersistentVolumeClaim, Provisioner.changed_claim),
    Watch(PersistentVolume, Provisioner.changed_volume),
    Watch(StorageClass, Provisioner.changed_class),
    Watch(Node, Provisioner.ready_node),
)
"""What wakes every provisioner."""
