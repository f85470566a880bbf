"""Attach/detach: asks for volumes of storage drivers to be attached to the nodes of the pods that use them.

It writes VolumeAttachments, which the driver's external-attacher carries out, and tells kubelets in the Node's status
what is attached. A volume leaves a node when no pod there uses it and the kubelet has unmounted it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apimachinery.errors import AlreadyExists, NotFound
from apimachinery.meta import ObjectMeta
from componentbase import logs
from controller_manager.controllers.volumes._attachments import (
    AttachPlan,
    WantedVolume,
    attached_names,
    is_managed,
    plan_attachments,
)
from controller_manager.controllers.volumes._poduse import CLAIM_INDEX, claim_keys, index_by_claim, uses
from controller_manager.podstate import NODE_INDEX, index_by_node
from kubeapi.core.node import AttachedVolume, Node
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.storage.csidriver import CSIDriver
from kubeapi.storage.volumeattachment import (
    NAME_PREFIX,
    VolumeAttachment,
    VolumeAttachmentSource,
    VolumeAttachmentSpec,
    attachment_name,
    unique_name,
)
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, latest, maps

VOLUME_INDEX = "volume"

log = logs.logger(__name__)


class AttachDetach:
    """Keys are nodes."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._nodes = context.informers.of(Node)
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._volumes = context.informers.of(PersistentVolume)
        self._drivers = context.informers.of(CSIDriver)
        self._attachments = context.informers.of(VolumeAttachment)
        index_by_node(self._pods)
        index_by_claim(self._pods)
        self._attachments.add_index(NODE_INDEX, _node_names)
        self._attachments.add_index(VOLUME_INDEX, _volume_names)
        self._unwanted: dict[tuple[str, str], float] = {}
        """(node, volume) -> since when nobody wants it there (monotonic)."""
        self._told: dict[tuple[str, str], str] = {}
        """(node, volume) -> the last failure that its pods were told of."""

    # What wakes a node

    def nodes_of_claim(self, claim: PersistentVolumeClaim) -> set[str]:
        pods: Iterable[Pod] = self._pods.by_index(CLAIM_INDEX, claim.key)
        return {pod.spec.nodeName for pod in pods if pod.spec.nodeName}

    def nodes_of_volume(self, volume: PersistentVolume) -> set[str]:
        claim = self._claims.get(_claim_key(volume))
        return self.nodes_of_claim(claim) if claim is not None else set()

    def nodes_of_attachment(self, old: VolumeAttachment | None, new: VolumeAttachment | None) -> set[str]:
        """Includes the nodes that wait for the volume to be detached from this one."""
        nodes = set[str]()
        for attachment in (old, new):
            if attachment is not None:
                nodes.add(attachment.spec.nodeName)
                for volume in map(self._volumes.get, _volume_names(attachment)):
                    nodes |= self.nodes_of_volume(volume) if volume is not None else set()
        return nodes

    def concerned_node(self, old: Node | None, new: Node | None) -> Iterator[str]:
        """Wakes a node that has volumes attached; others' heartbeats are nothing to look at."""
        node = latest(old, new)
        if node.status.volumesAttached or any(self._attachments.by_index(NODE_INDEX, node.name)):
            yield node.name
        elif (
            old is None
            and new is not None
            and any(map(any, map(claim_keys, self._pods.by_index(NODE_INDEX, new.name))))
        ):
            yield new.name

    # What a node wants

    def _wanted(self, node: str) -> dict[str, WantedVolume]:
        users: dict[str, list[Pod]] = {}
        for pod in self._pods.by_index(NODE_INDEX, node):
            if is_terminal(pod.status.phase):
                continue
            for key in claim_keys(pod):
                claim = self._claims.get(key)
                if claim is not None and claim.spec.volumeName and uses(pod, claim):
                    users.setdefault(claim.spec.volumeName, []).append(pod)
        wanted = {}
        for name, pods in users.items():
            volume = self._volumes.get(name)
            if volume is not None and self._needs_attachment(volume):
                wanted[_unique_name(volume)] = self._with_others(volume, pods, node)
        return wanted

    def _needs_attachment(self, volume: PersistentVolume) -> bool:
        if volume.spec.csi is None:
            return False
        driver = self._drivers.get(volume.spec.csi.driver)
        return driver is None or driver.spec.attachRequired is not False

    def _with_others(self, volume: PersistentVolume, pods: list[Pod], node: str) -> WantedVolume:
        attached: Iterable[VolumeAttachment] = self._attachments.by_index(VOLUME_INDEX, volume.name)
        others = tuple(sorted(item.spec.nodeName for item in attached if item.spec.nodeName != node))
        users = self._pods.by_index(CLAIM_INDEX, _claim_key(volume)) if others else ()
        names = sorted(pod.name for pod in users if pod.spec.nodeName in others and not is_terminal(pod.status.phase))
        return WantedVolume(volume, tuple(pods), others, tuple(names))

    def _existing(self, node: str) -> dict[str, VolumeAttachment]:
        """Returns attachments by the name of the volume; by that of the attachment where the volume is gone."""
        existing = {}
        for attachment in self._attachments.by_index(NODE_INDEX, node):
            name = attachment.spec.source.persistentVolumeName
            volume = self._volumes.get(name) if name is not None else None
            if name is None or (volume is None and not attachment.name.startswith(NAME_PREFIX)):
                continue  # somebody else's, for a volume that is described in it or that there is not
            known = volume is not None and volume.spec.csi is not None
            existing[_unique_name(volume) if known and volume is not None else attachment.name] = attachment
        return existing

    # What is done

    async def reconcile(self, key: str) -> Result:
        node = self._nodes.get(key)
        wanted = self._wanted(key) if is_managed(node) else {}
        existing = self._existing(key)
        if node is not None and existing and not is_managed(node):
            return DONE
        plan = plan_attachments(node, wanted, existing, self._note_unwanted(key, wanted, existing))
        for name in plan.attach:
            await self._attach(key, wanted[name].volume)
        for name in plan.refused:
            self._tell(key, name, wanted[name], wanted[name].multi_attach_error)
        detached = await self._report(node, wanted, existing, plan) if node is not None else set(plan.detach)
        for name in sorted(detached):
            await self._detach(existing[name])
        self._tell_failures(key, wanted, existing)
        return after(plan.next_check_seconds) if plan.next_check_seconds else DONE

    def _note_unwanted(
        self, node: str, wanted: dict[str, WantedVolume], existing: dict[str, VolumeAttachment]
    ) -> dict[str, float]:
        """Returns for how many seconds each volume has not been wanted."""
        now = self._clock.monotonic()
        for where in [where for where in self._unwanted if where[0] == node]:
            if where[1] in wanted or where[1] not in existing:
                del self._unwanted[where]
        return {name: now - self._unwanted.setdefault((node, name), now) for name in existing if name not in wanted}

    async def _attach(self, node: str, volume: PersistentVolume) -> None:
        source = volume.spec.csi
        assert source is not None
        spec = VolumeAttachmentSpec(
            attacher=source.driver, nodeName=node, source=VolumeAttachmentSource(persistentVolumeName=volume.name)
        )
        name = attachment_name(source.driver, source.volumeHandle, node)
        try:
            await self._rest.create(VolumeAttachment(metadata=ObjectMeta(name=name), spec=spec))
        except AlreadyExists:
            return  # the cache is behind
        log.info("attaching", volume=volume.name, node=node)

    async def _report(
        self, node: Node, wanted: dict[str, WantedVolume], existing: dict[str, VolumeAttachment], plan: AttachPlan
    ) -> set[str]:
        """Writes what is attached into the Node's status; returns what may be detached now.

        The write fails if the kubelet has said meanwhile that it uses a volume: a volume that is no longer in the
        status, it does not mount.
        """
        detached: set[str] = set()
        before = [item.name for item in node.status.volumesAttached or ()]
        if not plan.detach and before == attached_names(existing, ()):
            return detached

        def change(fresh: Node) -> Node | None:
            in_use = set(fresh.status.volumesInUse or ())
            detached.clear()
            detached.update(name for name in plan.detach if name in plan.forced or name not in in_use)
            names = attached_names(existing, detached)
            if [item.name for item in fresh.status.volumesAttached or ()] == names:
                return None
            fresh.status.volumesAttached = [AttachedVolume(name=name, devicePath="") for name in names] or None
            return fresh

        try:
            await self._rest.update_with(Node, node.name, "", change, subresource="status")
        except NotFound:
            return set(plan.detach)
        for name in set(attached_names(existing, detached)) - set(before):
            if name in wanted:
                self._event(wanted[name], "Normal", "SuccessfulAttachVolume", "AttachVolume.Attach succeeded for")
        return detached

    async def _detach(self, attachment: VolumeAttachment) -> None:
        try:
            await self._rest.delete(VolumeAttachment, attachment.name, uid=attachment.metadata.uid)
        except NotFound:
            return
        log.info("detaching", volume=attachment.spec.source.persistentVolumeName, node=attachment.spec.nodeName)

    # What pods are told

    def _tell_failures(self, node: str, wanted: dict[str, WantedVolume], existing: dict[str, VolumeAttachment]) -> None:
        for name, attachment in existing.items():
            error = attachment.status.attachError
            if error is not None and name in wanted and not attachment.status.attached:
                volume = wanted[name].volume.name
                self._tell(
                    node, name, wanted[name], f'AttachVolume.Attach failed for volume "{volume}" : {error.message}'
                )
        for where in [where for where in self._told if where[0] == node and where[1] not in wanted]:
            del self._told[where]

    def _tell(self, node: str, name: str, wanted: WantedVolume, text: str) -> None:
        """Records each failure once."""
        if self._told.get((node, name)) != text:
            self._told[node, name] = text
            for pod in wanted.pods:
                self._recorder.event(pod, "Warning", "FailedAttachVolume", text)

    def _event(self, wanted: WantedVolume, type: str, reason: str, text: str) -> None:
        for pod in wanted.pods:
            self._recorder.event(pod, type, reason, f'{text} volume "{wanted.volume.name}" ')


def _nodes_of_pod(pod: Pod) -> Iterator[str]:
    if pod.spec.nodeName and any(claim_keys(pod)):
        yield pod.spec.nodeName


def _node_names(attachment: VolumeAttachment) -> tuple[str, ...]:
    return (attachment.spec.nodeName,)


def _volume_names(attachment: VolumeAttachment) -> tuple[str, ...]:
    name = attachment.spec.source.persistentVolumeName
    return (name,) if name is not None else ()


def _unique_name(volume: PersistentVolume) -> str:
    source = volume.spec.csi
    assert source is not None
    return unique_name(source.driver, source.volumeHandle)


def _claim_key(volume: PersistentVolume) -> str:
    ref = volume.spec.claimRef
    return f"{ref.namespace}/{ref.name}" if ref is not None else ""


CONTROLLER = ControllerSpec(
    "persistentvolume-attach-detach-controller",
    AttachDetach,
    [
        maps(Pod, _nodes_of_pod),
        Watch(PersistentVolumeClaim, lambda reconciler, old, new: reconciler.nodes_of_claim(new) if new else ()),
        Watch(PersistentVolume, lambda reconciler, old, new: reconciler.nodes_of_volume(new) if new else ()),
        Watch(VolumeAttachment, AttachDetach.nodes_of_attachment),
        Watch(Node, AttachDetach.concerned_node),
        maps(CSIDriver, lambda driver: ()),
    ],
    service_account="attachdetach-controller",
    event_source="attachdetach-controller",
)
