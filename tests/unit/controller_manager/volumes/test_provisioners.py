"""Provisioners and the growth of their volumes, on an API in memory and without nodes."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import BadRequest
from apimachinery.model import from_dict
from controller_manager.controllers.provisioners import _provisioning as provisioning
from controller_manager.controllers.provisioners._nodefolders import FolderError
from controller_manager.controllers.provisioners._provisioner import WATCHES, Provisioner
from controller_manager.controllers.provisioners.localpath import LocalFolders, node_of
from controller_manager.controllers.provisioners.sharedfolder import SharedFolders
from controller_manager.controllers.volumes import _expansion as expansion
from controller_manager.controllers.volumes.expander import CONTROLLER as EXPANDER
from controller_manager.controllers.volumes.persistentvolumebinder import CONTROLLER as BINDER
from controller_manager.controllers.volumes.pvcprotection import CONTROLLER as CLAIM_PROTECTION
from controller_manager.controllers.volumes.pvprotection import CONTROLLER as VOLUME_PROTECTION
from kubeapi.core.node import Node
from kubeapi.core.persistentvolume.binding import PROVISIONED_BY, PROVISIONER, SELECTED_NODE
from kubeapi.core.persistentvolume.model import PersistentVolume, PersistentVolumeSpec
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeclient.controller import ControllerSpec
from tests.fakes.api import FakeApi, Running, settle
from tests.kits.volumes import claim_of, claim_ref, make_claim, make_class, make_volume, volume_of

UID = "00000000-0000-0000-0000-00000000000a"
MADE = f"pvc-{UID}"


# Provisioners


class FakeBackend:
    """Notes what it is asked for; `refuses` makes it fail."""

    abilities = provisioning.Abilities("x.example/p", frozenset({"ReadWriteOnce"}), frozenset({"known"}), True)

    def __init__(self) -> None:
        self.folders: set[str] = set()
        self.refuses = ""
        self.node_is_gone = False

    async def make(self, claim: Any, storage_class: Any) -> PersistentVolumeSpec | None:
        self._check()
        if self.node_is_gone:
            return None
        self.folders.add(provisioning.volume_name(claim))
        return from_dict(PersistentVolumeSpec, {"hostPath": {"path": "/x"}})

    async def unmake(self, claim: Any) -> None:
        self._check()
        self.folders.discard(provisioning.volume_name(claim))

    async def delete(self, volume: Any) -> None:
        self._check()
        self.folders.discard(volume.name)

    def _check(self) -> None:
        if self.refuses:
            raise FolderError(self.refuses, 500)


class Dynamic:
    """A claim of a class with a provisioner, which the scheduler has found a node for."""

    def __init__(self, **class_members: Any) -> None:
        self.api = FakeApi()
        self.backend = FakeBackend()
        spec = ControllerSpec("p", lambda context: Provisioner(context, self.backend), WATCHES)
        self.provisioner = Running(self.api, spec)
        self.others = [Running(self.api, spec) for spec in (BINDER, VOLUME_PROTECTION, CLAIM_PROTECTION)]
        self.api.put(make_class("manual", **{"volumeBindingMode": "WaitForFirstConsumer", **class_members}))

    async def claimed(self, **spec: Any) -> None:
        claim = make_claim(annotations={SELECTED_NODE: "n"}, **spec)
        claim.metadata.uid = UID
        self.api.put(claim)
        await self.settled()

    async def settled(self) -> None:
        await settle(self.api, self.provisioner, *self.others)

    @property
    def events(self) -> list[str]:
        return self.provisioner.recorder.events


async def test_a_claim_gets_a_folder_and_its_volume_goes_with_it() -> None:
    world = Dynamic()
    await world.claimed()
    volume = volume_of(world.api, MADE)
    assert claim_of(world.api).status.phase == volume.status.phase == "Bound"
    assert claim_of(world.api).metadata.finalizers == ["kubernetes.io/pvc-protection"]
    assert world.backend.folders == {MADE}
    await world.api.delete(PersistentVolumeClaim, "c", "team")
    await world.settled()
    assert (world.api.all(PersistentVolume), world.api.all(PersistentVolumeClaim)) == ([], [])
    assert world.backend.folders == set()


async def test_with_retain_neither_the_claim_nor_the_volume_take_the_folder_with_them() -> None:
    world = Dynamic(reclaimPolicy="Retain")
    await world.claimed()
    await world.api.delete(PersistentVolumeClaim, "c", "team")
    await world.settled()
    assert volume_of(world.api, MADE).status.phase == "Released"
    await world.api.delete(PersistentVolume, MADE)
    await world.settled()
    assert world.api.all(PersistentVolume) == []
    assert world.backend.folders == {MADE}


async def test_a_policy_that_becomes_retain_at_the_last_moment_is_respected() -> None:
    world = Dynamic()
    await world.claimed()
    await world.api.delete(PersistentVolumeClaim, "c", "team")
    await settle(world.api, *world.others)  # Released, and only the provisioner has not seen it yet

    def retain(volume: Any) -> None:
        volume.spec.persistentVolumeReclaimPolicy = "Retain"

    released = volume_of(world.api, MADE).clone()
    world.api.change(PersistentVolume, MADE, retain)
    world.provisioner.reconciler._volumes._store.put(MADE, released)
    await world.provisioner.reconciler.reconcile(f"volume/{MADE}")
    assert world.backend.folders == {MADE}


async def test_nothing_is_deleted_while_the_claim_is_there() -> None:
    world = Dynamic()
    await world.claimed()
    world.api.change(PersistentVolume, MADE, lambda volume: setattr(volume.status, "phase", "Released"))
    world.api.deliver()
    await world.provisioner.reconciler.reconcile(f"volume/{MADE}")
    assert world.backend.folders == {MADE}


async def test_a_forged_volume_leads_to_no_folder() -> None:
    world = Dynamic()
    await world.claimed()
    for name, ref in (("v", None), ("..", None), (MADE + "x", None), (f"pvc-{UID[:-1]}b", claim_ref("c", "other"))):
        forged = make_volume(
            name, phase="Released", annotations={PROVISIONED_BY: "x.example/p"}, persistentVolumeReclaimPolicy="Delete"
        )
        forged.spec.claimRef = from_dict(PersistentVolume, {"spec": {"claimRef": ref}}).spec.claimRef
        assert provisioning.claim_uid(forged) == ""
        world.api.put(forged)
        world.api.deliver()
        await world.provisioner.reconciler.reconcile(f"volume/{name}")
        assert volume_of(world.api, name).name == name
    assert world.backend.folders == {MADE}
    assert sum("VolumeFailedDelete" in event for event in world.events) == 4


async def test_a_forged_volume_of_the_claims_name_is_told() -> None:
    world = Dynamic()
    world.api.put(make_volume(MADE, phase="Available", storage_class="other"))
    await world.settled()
    await world.claimed()
    assert claim_of(world.api).status.phase == "Pending"
    assert any(f"a volume {MADE} of another claim exists" in event for event in world.events)


async def test_a_folder_that_can_not_be_made_or_deleted_is_told_and_tried_again() -> None:
    world = Dynamic()
    world.backend.refuses = "disk full"
    claim = make_claim(annotations={SELECTED_NODE: "n"})
    claim.metadata.uid = UID
    world.api.put(claim)
    for _ in range(30):
        world.api.deliver()
        for each in (*world.others, world.provisioner):
            if each.waiting:
                await each.step()
    assert any('ProvisioningFailed failed to provision volume with StorageClass "manual"' in e for e in world.events)
    world.backend.refuses = ""
    await world.settled()
    assert claim_of(world.api).status.phase == "Bound"


async def test_a_claim_that_is_deleted_while_its_folder_is_made_leaves_none() -> None:
    world = Dynamic()
    claim = make_claim(annotations={SELECTED_NODE: "n", PROVISIONER: "x.example/p"})
    claim.metadata.uid, claim.metadata.finalizers = UID, [provisioning.CLAIM_FINALIZER]
    world.api.put(claim)
    world.backend.folders.add(MADE)  # the process was killed here
    await world.api.delete(PersistentVolumeClaim, "c", "team")
    await world.settled()
    assert world.api.all(PersistentVolumeClaim) == []
    assert world.backend.folders == set()


async def test_another_node_is_chosen_when_the_first_is_gone() -> None:
    world = Dynamic()
    world.backend.node_is_gone = True
    await world.claimed()
    claim = claim_of(world.api)
    assert SELECTED_NODE not in claim.annotations
    assert provisioning.CLAIM_FINALIZER not in claim.metadata.finalizers


@pytest.mark.parametrize(
    ("claim", "storage_class", "why"),
    [
        ({}, {}, ""),
        ({}, {"volumeBindingMode": "Immediate"}, "volumeBindingMode WaitForFirstConsumer"),
        ({}, {"parameters": {"known": "x"}}, ""),
        ({}, {"parameters": {"foreign": "x"}}, 'parameter "foreign"'),
        ({}, {"mountOptions": ["ro"]}, "mountOptions"),
        ({"accessModes": ["ReadWriteMany"]}, {}, "access mode ReadWriteMany is not supported, only ReadWriteOnce"),
        ({"volumeMode": "Block"}, {}, "volumeMode Block"),
        ({"selector": {"matchLabels": {"a": "b"}}}, {}, "spec.selector"),
        ({"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}, {}, "spec.dataSource"),
        ({"volumeAttributesClassName": "fast"}, {}, "spec.volumeAttributesClassName"),
    ],
)
def test_what_a_provisioner_can_not_do_is_refused(claim: Any, storage_class: Any, why: str) -> None:
    members = {"volumeBindingMode": "WaitForFirstConsumer", **storage_class}
    text = provisioning.refusal(make_claim(**claim), make_class("manual", **members), FakeBackend.abilities)
    assert (why in text) if why else text == ""


# Growth


async def test_a_claim_grows_and_says_so_meanwhile() -> None:
    world = Dynamic()
    await world.claimed()
    seen: list[tuple[Any, Any]] = []

    def look(text: str) -> None:
        if text.startswith("PUT persistentvolumes pvc"):
            status = claim_of(world.api).status
            seen.append((status.allocatedResourceStatuses, [item.type for item in status.conditions or ()]))

    world.api.before = look
    world.api.change(PersistentVolumeClaim, "team/c", lambda claim: claim.spec.resources.requests.update(storage="5Gi"))
    await world.settled()
    status = claim_of(world.api).status
    assert volume_of(world.api, MADE).spec.capacity == status.capacity == {"storage": "5Gi"}
    assert seen == [({"storage": "ControllerResizeInProgress"}, ["Resizing"])]
    assert (status.allocatedResources, status.allocatedResourceStatuses) == ({"storage": "5Gi"}, None)
    assert status.conditions is None
    assert "Normal VolumeResizeSuccessful Resize volume succeeded" in world.events


@pytest.mark.parametrize(
    ("annotations", "event"),
    [
        ({PROVISIONED_BY: "x.example/p"}, "Normal ExternalExpanding waiting for an external controller"),
        ({}, "Warning ExternalExpanding Ignoring the PVC: didn't find a plugin"),
    ],
)
async def test_who_grows_a_volume_is_told(annotations: Any, event: str) -> None:
    api = FakeApi()
    expander = Running(api, EXPANDER)
    claim = make_claim(size="2Gi", volumeName="v")
    claim.status.phase, claim.status.capacity = "Bound", {"storage": "1Gi"}
    api.put(make_volume(annotations=annotations))
    api.deliver()
    api.put(claim)
    await settle(api, expander)
    assert len(expander.recorder.events) == 1
    assert expander.recorder.events[0].startswith(event)


def test_only_a_bound_claim_that_asks_for_more_grows() -> None:
    claim = make_claim(size="2Gi")
    assert not expansion.wants_to_grow(claim)
    claim.status.phase, claim.status.capacity = "Bound", {"storage": "2Gi"}
    assert not expansion.wants_to_grow(claim)
    claim.status.capacity = {"storage": "1Gi"}
    assert expansion.wants_to_grow(claim)


# Local folders


def test_the_node_of_a_local_volume_is_that_of_its_affinity_alone() -> None:
    def affinity(*expressions: Any) -> Any:
        terms = [{"matchExpressions": list(expressions)}]
        return make_volume(local={"path": "/x"}, nodeAffinity={"required": {"nodeSelectorTerms": terms}})

    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}
    assert node_of(affinity(here)) == "n"
    assert node_of(affinity(here, here)) == ""
    assert node_of(affinity({**here, "values": ["n", "m"]})) == ""
    assert node_of(affinity({**here, "key": "zone"})) == ""
    assert node_of(make_volume()) == ""
    assert LocalFolders.abilities.waits_for_node


async def test_a_node_that_no_node_can_be_is_one_that_has_left() -> None:
    """The annotation is whatever the claim's owner wrote; the claim must not be stuck with it."""

    def refuse(request: str) -> None:
        raise BadRequest(f"{request} can't be sent")

    api = FakeApi()
    api.before = refuse
    folders = LocalFolders(api)  # type: ignore[arg-type]
    claim = make_claim()
    claim.metadata.annotations = {SELECTED_NODE: ".."}
    assert await folders.make(claim, make_class("standard")) is None
    await folders.unmake(claim)


# Shared folders


class FakeFolders:
    """Nodes that answer with a code each; those with 200 keep folders."""

    def __init__(self, **codes: int) -> None:
        self.codes = codes
        self.asked: list[str] = []

    async def make(self, node: str, kind: str, name: str) -> str:
        self.asked.append(node)
        if self.codes[node] != 200:
            raise FolderError(f"{node} says {self.codes[node]}", self.codes[node])
        return f"/shared/{name}"

    async def delete(self, node: str, kind: str, name: str) -> None:
        await self.make(node, kind, name)


def make_node(name: str, ready: str) -> Any:
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    return from_dict(Node, {"metadata": {"name": name}, "status": status})


def shared_folders(folders: FakeFolders, *not_ready: str) -> SharedFolders:
    api = FakeApi()
    for name in folders.codes:
        api.put(make_node(name, "False" if name in not_ready else "True"))
    return SharedFolders(folders, api.informer(Node))  # type: ignore[arg-type]


async def test_any_ready_node_that_shares_a_folder_makes_and_deletes_it() -> None:
    folders = FakeFolders(alone=404, broken=503, silent=200, good=200)
    backend = shared_folders(folders, "silent")
    spec = await backend.make(make_claim(), make_class("shared"))
    assert spec.hostPath is not None
    assert (spec.hostPath.path, spec.nodeAffinity) == ("/shared/pvc-uid-c", None)
    await backend.delete(make_volume("pvc-uid-c"))
    assert "silent" not in folders.asked
    assert folders.asked.count("good") == 2


async def test_no_node_no_folder() -> None:
    with pytest.raises(FolderError, match="no node is ready"):
        await shared_folders(FakeFolders(one=200), "one").make(make_claim(), make_class("shared"))
    with pytest.raises(FolderError, match="says 409"):
        await shared_folders(FakeFolders(one=409)).delete(make_volume("pvc-uid-c"))


async def test_a_class_that_names_a_server_gives_nfs_volumes() -> None:
    backend = shared_folders(FakeFolders(one=200))
    storage_class = make_class("nfs", parameters={"server": "nfs.example", "share": "/export/"})
    spec = await backend.make(make_claim(), storage_class)
    assert spec.nfs is not None
    assert (spec.nfs.server, spec.nfs.path, spec.hostPath) == ("nfs.example", "/export/pvc-uid-c", None)
    with pytest.raises(FolderError, match="go together"):
        await backend.make(make_claim(), make_class("nfs", parameters={"server": "nfs.example"}))


async def test_what_waits_for_a_node_is_tried_when_one_comes_back() -> None:
    world = Dynamic()
    await world.claimed()
    await world.api.delete(PersistentVolumeClaim, "c", "team")
    await settle(world.api, *world.others)
    world.backend.refuses = "connection refused"
    with pytest.raises(FolderError):
        await world.provisioner.reconciler.reconcile(f"volume/{MADE}")
    node, ready = make_node("n", "False"), make_node("n", "True")
    wakes = world.provisioner.reconciler.ready_node
    assert (wakes(None, node), wakes(ready, ready)) == ([], [])
    assert wakes(node, ready) == [f"volume/{MADE}"]
    world.backend.refuses = ""
    await world.settled()
    assert (wakes(node, ready), world.backend.folders) == ([], set())
