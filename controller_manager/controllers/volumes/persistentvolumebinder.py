"""Persistent volume binder: brings claims and volumes together, and volumes through the phases of their life.

A claim gets the volume that fits, else its class's provisioner is asked to make one. Every step is one write on a fresh
revision: two claims can't take one volume, and a controller that is killed goes on where it was.
Source: Kubernetes documentation, "Persistent Volumes".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from apimachinery.errors import Conflict, NotFound
from componentbase import logs
from controller_manager.controllers.volumes import _binding as binding
from controller_manager.controllers.volumes._poduse import CLAIM_INDEX, index_by_claim
from controller_manager.ownership import in_parallel
from kubeapi.core.persistentvolume.binding import BIND_COMPLETED, claim_class, volume_class
from kubeapi.core.persistentvolume.model import AVAILABLE, BOUND, FAILED, RELEASED, PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import BOUND as CLAIM_BOUND
from kubeapi.core.persistentvolumeclaim.model import LOST, PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeapi.storage.storageclass import StorageClass, is_default_class
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, latest

CLAIM, VOLUME, OFFER = "claim", "volume", "offer"
"""Begin the keys: "claim/NAMESPACE/NAME", "volume/NAME", "offer/CLASS"."""
RESERVED_INDEX, FREE_INDEX, PENDING_INDEX = "claim", "free", "pending"
ANY_CLASS = "*"
"""Stands in PENDING_INDEX for the claims that name no class yet."""
REMINDER_SECONDS = 600.0
"""Seconds after which a waiting claim gets its event again, before the last one expires."""
GATHER_SECONDS = 0.1
"""A volume that becomes free is offered to waiting claims after this: volumes are often made by the dozen."""

log = logs.logger(__name__)


def _reserved_values(volume: PersistentVolume) -> tuple[str, ...]:
    ref = volume.spec.claimRef
    return (f"{ref.namespace}/{ref.name}",) if ref is not None else ()


def _free_values(volume: PersistentVolume) -> tuple[str, ...]:
    free = volume.spec.claimRef is None and volume.status.phase == AVAILABLE
    return (volume_class(volume),) if free else ()


def _pending_values(claim: PersistentVolumeClaim) -> tuple[str, ...]:
    name = claim_class(claim)
    return (ANY_CLASS if name is None else name,) if BIND_COMPLETED not in claim.annotations else ()


class PersistentVolumeBinder:
    """Keys are claims, volumes, and classes with volumes to offer."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder = context.rest, context.recorder
        self._volumes = context.informers.of(PersistentVolume)
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._classes = context.informers.of(StorageClass)
        self._pods = context.informers.of(Pod)
        self._volumes.add_index(RESERVED_INDEX, _reserved_values)
        self._volumes.add_index(FREE_INDEX, _free_values)
        self._claims.add_index(PENDING_INDEX, _pending_values)
        index_by_claim(self._pods)
        self._taken: dict[str, str] = {}
        """The revisions at which this process gave volumes to claims, until the cache has newer ones."""
        self._world = binding.ClaimWorld(
            self._volumes.get, self._candidates, self._classes.list, self._unscheduled_pods
        )

    def changed_claim(self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> Iterable[str]:
        """Wakes the claim and the volumes that name it or that it names."""
        claim = latest(old, new)
        yield f"{CLAIM}/{claim.key}"
        if claim.spec.volumeName:
            yield f"{VOLUME}/{claim.spec.volumeName}"
        for volume in self._volumes.by_index(RESERVED_INDEX, claim.key):
            yield f"{VOLUME}/{volume.name}"

    def changed_volume(self, old: PersistentVolume | None, new: PersistentVolume | None) -> Iterable[str]:
        """Wakes the volume, and the claims that it names or named."""
        volume = latest(old, new)
        self._taken.pop(volume.name, None)
        yield f"{VOLUME}/{volume.name}"
        for key in {key for item in (old, new) if item is not None for key in _reserved_values(item)}:
            yield f"{CLAIM}/{key}"

    def freed_volume(self, old: PersistentVolume | None, new: PersistentVolume | None) -> Iterable[str]:
        """Has a volume offered that is there or free now, and was not."""
        if new is None or new.spec.claimRef is not None:
            return []
        if old is not None and old.status.phase == new.status.phase and old.metadata.labels == new.metadata.labels:
            return []
        return [f"{OFFER}/{volume_class(new)}"]

    def changed_class(self, old: StorageClass | None, new: StorageClass | None) -> Iterable[str]:
        """Wakes the claims that wait for the class, or for some default."""
        storage_class = latest(old, new)
        waiting = self._claims.by_index(PENDING_INDEX, storage_class.name)
        if is_default_class(storage_class):
            waiting += self._claims.by_index(PENDING_INDEX, ANY_CLASS)
        return [f"{CLAIM}/{claim.key}" for claim in waiting]

    async def reconcile(self, key: str) -> Result:
        kind, _, rest = key.partition("/")
        if kind == CLAIM:
            claim = self._claims.get(rest)
            return await self._sync_claim(claim) if claim is not None else DONE
        if kind == OFFER:
            await self._offer(rest)
        elif (volume := self._volumes.get(rest)) is not None:
            await self._sync_volume(volume)
        return DONE

    async def _sync_claim(self, claim: PersistentVolumeClaim) -> Result:
        plan = binding.plan_claim(claim, self._world)
        if plan.bind is not None:
            await self._bind(claim, plan.bind)
            return DONE
        if plan.default_class:
            await self._rest.update(binding.claim_of_class(claim, plan.default_class))
            return DONE
        if plan.provisioner and (changed := binding.claim_for_provisioner(claim, plan.provisioner)):
            claim = await self._rest.update(changed)
        written = await self._set_claim_phase(claim, plan.phase) if plan.phase else False
        if plan.event is not None and (written or plan.phase != LOST):
            self._recorder.event(claim, *plan.event)
        return after(REMINDER_SECONDS) if plan.event is not None and plan.phase != LOST else DONE

    async def _offer(self, class_name: str) -> None:
        """Binds claims that waited for the free volumes of a class, the oldest first; the others notice nothing."""
        waiting = self._claims.by_index(PENDING_INDEX, class_name)
        if not class_name:
            waiting += self._claims.by_index(PENDING_INDEX, ANY_CLASS)
        waiting.sort(key=lambda claim: (claim.metadata.creationTimestamp or "", claim.key))
        given: set[str] = set()
        world = replace(
            self._world, candidates=lambda claim: (item for item in self._candidates(claim) if item.name not in given)
        )
        pairs = []
        for claim in waiting:
            if not any(item.name not in given for item in self._free(class_name)):
                break
            volume = binding.plan_claim(claim, world).bind
            if volume is not None:
                given.add(volume.name)
                pairs.append((claim, volume))
            await asyncio.sleep(0)  # many of either kind take a while
        if errors := await in_parallel(pairs, lambda pair: self._bind(*pair)):
            raise errors[0]

    async def _bind(self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
        """Writes what is missing of the binding: first the volume's side, which decides who has it."""
        if changed := binding.bound_volume(volume, claim):
            self._taken[volume.name] = volume.metadata.resourceVersion or ""
            try:
                volume = await self._rest.update(changed)
            except Conflict:
                raise
            except BaseException:
                self._taken.pop(volume.name, None)  # it is free after all, or the cache will tell who has it
                raise
            log.info("volume given to claim", volume=volume.name, claim=claim.key)
        if phased := binding.volume_in_phase(volume, BOUND):
            volume = await self._rest.update(phased, "status")
        if named := binding.bound_claim(claim, volume):
            claim = await self._rest.update(named)
        await self._set_claim_phase(claim, CLAIM_BOUND, volume)

    async def _set_claim_phase(
        self, claim: PersistentVolumeClaim, phase: str, volume: PersistentVolume | None = None
    ) -> bool:
        changed = binding.claim_in_phase(claim, phase, volume)
        if changed is not None:
            await self._rest.update(changed, "status")
        return changed is not None

    async def _sync_volume(self, volume: PersistentVolume) -> None:
        claim = await self._claim_of(volume)
        plan = binding.plan_volume(volume, claim)
        if plan.unbind:
            volume = await self._rest.update(binding.unbound_volume(volume))
        changed = binding.volume_in_phase(volume, plan.phase, plan.message)
        if changed is not None:
            await self._rest.update(changed, "status")
        if plan.event is not None and (changed is not None or not plan.phase):
            self._recorder.event(volume, *plan.event)
        if plan.claim_event is not None and claim is not None:
            self._recorder.event(claim, *plan.claim_event)

    async def _claim_of(self, volume: PersistentVolume) -> PersistentVolumeClaim | None:
        """Returns the claim that the volume is bound to; asks the server before it says that there is none."""
        ref = volume.spec.claimRef
        if ref is None or not ref.uid:
            return None
        claim = self._claims.get(f"{ref.namespace}/{ref.name}")
        if claim is not None and claim.metadata.uid == ref.uid:
            return claim
        if volume.status.phase in (RELEASED, FAILED):
            return None
        try:
            claim = await self._rest.get(PersistentVolumeClaim, ref.name or "", ref.namespace or "")
        except NotFound:
            return None
        return claim if claim.metadata.uid == ref.uid else None

    def _candidates(self, claim: PersistentVolumeClaim) -> Iterable[PersistentVolume]:
        """Returns the volumes that are reserved for the claim, and the free ones of its class."""
        return chain(self._volumes.by_index(RESERVED_INDEX, claim.key), self._free(claim_class(claim) or ""))

    def _free(self, class_name: str) -> Iterator[PersistentVolume]:
        for volume in self._volumes.by_index(FREE_INDEX, class_name):
            if self._taken.get(volume.name) != volume.metadata.resourceVersion:
                yield volume

    def _unscheduled_pods(self, claim: PersistentVolumeClaim) -> list[str]:
        pods = self._pods.by_index(CLAIM_INDEX, claim.key)
        return sorted(pod.name for pod in pods if not pod.spec.nodeName)


CONTROLLER = ControllerSpec(
    "persistentvolume-binder-controller",
    PersistentVolumeBinder,
    [
        Watch(PersistentVolumeClaim, PersistentVolumeBinder.changed_claim),
        Watch(PersistentVolume, PersistentVolumeBinder.changed_volume),
        Watch(PersistentVolume, PersistentVolumeBinder.freed_volume, delay_seconds=GATHER_SECONDS),
        Watch(StorageClass, PersistentVolumeBinder.changed_class),
    ],
    service_account="persistent-volume-binder",
    event_source="persistentvolume-controller",
)
