"""The controllers of volumes on an API in memory, whose caches are as late as a test wants."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from controller_manager.controllers.volumes.ephemeralvolume import CONTROLLER as EPHEMERAL
from controller_manager.controllers.volumes.persistentvolumebinder import CONTROLLER as BINDER
from controller_manager.controllers.volumes.pvcprotection import CONTROLLER as CLAIM_PROTECTION
from controller_manager.controllers.volumes.pvprotection import CONTROLLER as VOLUME_PROTECTION
from controller_manager.controllers.volumes.vacprotection import CONTROLLER as ATTRIBUTES_PROTECTION
from kubeapi.core.persistentvolume.binding import PROVISIONER
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeapi.storage.volumeattributesclass import VolumeAttributesClass
from tests.fakes.api import FakeApi, Running, settle
from tests.kits.volumes import claim_of, claim_ref, make_claim, make_class, make_volume, volume_of


def make_pod(name: str, *volumes: Any, node: str = "") -> Any:
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": list(volumes), "nodeName": node or None}
    return from_dict(Pod, {"metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}"}, "spec": spec})


def uses_claim(name: str) -> Any:
    return {"name": "data", "persistentVolumeClaim": {"claimName": name}}


# The binder


async def test_two_claims_that_want_one_volume_do_not_both_get_it() -> None:
    api = FakeApi()
    binders = [Running(api, BINDER), Running(api, BINDER)]  # as when an old leader still works
    api.put(make_volume())
    api.deliver()
    api.put(make_claim("a"))
    api.put(make_claim("b"))
    api.deliver()
    for binder in binders:  # both have decided on the volume before either sees what the other wrote
        while binder.waiting:
            await binder.step()
            if len(api.requests) > 40:
                break
    await settle(api, *binders)
    phases = sorted(claim.status.phase for claim in api.all(PersistentVolumeClaim))
    assert phases == ["Bound", "Pending"]
    bound = next(claim for claim in api.all(PersistentVolumeClaim) if claim.status.phase == "Bound")
    assert volume_of(api).spec.claimRef.uid == bound.metadata.uid


async def test_many_claims_share_out_many_volumes_without_one_conflict() -> None:
    api = FakeApi()
    binder = Running(api, BINDER)
    for number in range(20):
        api.put(make_volume(f"v{number}"))
        api.put(make_claim(f"c{number}"))
    api.deliver()
    while binder.waiting:  # the cache learns of nothing that is written meanwhile
        outcome = await binder.step()
        assert not isinstance(outcome, Exception), outcome
    await settle(api, binder)
    assert {claim.status.phase for claim in api.all(PersistentVolumeClaim)} == {"Bound"}
    assert len({volume.spec.claimRef.name for volume in api.all(PersistentVolume)}) == 20


async def test_a_volume_that_could_not_be_given_is_still_free() -> None:
    api = FakeApi()
    binder = Running(api, BINDER)
    api.put(make_volume())
    api.put(make_claim())
    failures = ["the server is gone"]

    def fail(request: str) -> None:
        if failures and request.startswith("PUT persistentvolumes "):
            raise ConnectionError(failures.pop())

    api.before = fail
    await settle(api, binder)
    assert not failures
    assert claim_of(api).status.phase == "Bound"


async def test_a_volume_is_not_released_for_a_claim_that_the_cache_has_not_seen() -> None:
    api = FakeApi()
    binder = Running(api, BINDER)
    claim = api.put(make_claim(volumeName="v"))
    volume = api.put(make_volume(phase="Pending", claimRef=claim_ref("c", claim.metadata.uid)))
    binder.reconciler._volumes.apply("ADDED", volume)
    await binder.reconciler.reconcile("volume/v")
    assert volume_of(api).status.phase == "Bound"


async def test_a_claim_that_waits_gets_the_volume_that_becomes_free() -> None:
    api = FakeApi()
    binder = Running(api, BINDER)
    api.put(make_claim())
    await settle(api, binder)
    assert claim_of(api).status.phase == "Pending"
    assert "Warning ProvisioningFailed" in binder.recorder.events[0]
    api.put(make_volume(phase="Pending"))
    await settle(api, binder)
    for key in binder.reconciler.freed_volume(None, volume_of(api)):
        binder.queue.add(key)  # which waits for others like it
    await settle(api, binder)
    assert claim_of(api).status.phase == "Bound"


async def test_free_volumes_are_offered_to_the_oldest_claims_and_disturb_no_others() -> None:
    api = FakeApi()
    binder = Running(api, BINDER)
    for number, size in enumerate(("1Gi", "5Gi", "1Gi", "1Gi")):
        claim = make_claim(f"c{number}", size)
        claim.metadata.creationTimestamp = f"2026-01-0{9 - number}T00:00:00Z"
        api.put(claim)
    await settle(api, binder)
    told = len(binder.recorder.events)
    api.put(make_volume("a", "2Gi"))
    api.put(make_volume("b", "2Gi"))
    api.deliver()
    await binder.reconciler.reconcile("offer/manual")
    await settle(api, binder)
    phases = {claim.name: claim.status.phase for claim in api.all(PersistentVolumeClaim)}
    assert phases == {"c0": "Pending", "c1": "Pending", "c2": "Bound", "c3": "Bound"}
    assert len(binder.recorder.events) == told


async def test_a_class_that_comes_later_becomes_that_of_claims_without_one() -> None:
    api = FakeApi()
    binder = Running(api, BINDER)
    api.put(make_claim(storage_class=None))
    api.put(make_claim("none", storage_class=""))
    await settle(api, binder)
    api.put(make_class("late", default=True))
    await settle(api, binder)
    assert claim_of(api).spec.storageClassName == "late"
    assert claim_of(api).annotations[PROVISIONER] == "x.example/p"
    assert claim_of(api, "none").spec.storageClassName == ""


# Protection


async def test_a_deleted_claim_stays_while_a_pod_on_a_node_uses_it() -> None:
    api = FakeApi()
    protection = Running(api, CLAIM_PROTECTION)
    api.put(make_claim())
    api.put(make_pod("waits", uses_claim("c")))
    api.put(make_pod("runs", uses_claim("c"), node="n"))
    await settle(api, protection)
    assert claim_of(api).metadata.finalizers == ["kubernetes.io/pvc-protection"]
    await api.delete(PersistentVolumeClaim, "c", "team")
    await settle(api, protection)
    assert claim_of(api).metadata.deletionTimestamp is not None
    await api.delete(Pod, "runs", "team")
    await settle(api, protection)
    assert api.all(PersistentVolumeClaim) == []


async def test_a_pod_that_only_the_server_knows_protects_its_claim_too() -> None:
    api = FakeApi()
    protection = Running(api, CLAIM_PROTECTION)
    api.put(make_claim())
    await settle(api, protection)
    await api.delete(PersistentVolumeClaim, "c", "team")
    api.deliver()
    api.put(make_pod("new", uses_claim("c"), node="n"))
    await protection.step()
    assert claim_of(api).metadata.finalizers


async def test_a_deleted_volume_stays_while_it_is_bound() -> None:
    api = FakeApi()
    protection = Running(api, VOLUME_PROTECTION)
    api.put(make_volume(phase="Bound"))
    await settle(api, protection)
    await api.delete(PersistentVolume, "v")
    await settle(api, protection)
    assert volume_of(api).metadata.finalizers == ["kubernetes.io/pv-protection"]
    api.change(PersistentVolume, "v", lambda volume: setattr(volume.status, "phase", "Released"))
    await settle(api, protection)
    assert api.all(PersistentVolume) == []


@pytest.mark.parametrize("user", ["volume", "claim", "current", "target"])
async def test_a_deleted_attributes_class_stays_while_somebody_refers_to_it(user: str) -> None:
    api = FakeApi()
    protection = Running(api, ATTRIBUTES_PROTECTION)
    api.put(from_dict(VolumeAttributesClass, {"metadata": {"name": "fast"}, "driverName": "d"}))
    claim = make_claim(**({"volumeAttributesClassName": "fast"} if user == "claim" else {}))
    if user == "current":
        claim.status.currentVolumeAttributesClassName = "fast"
    elif user == "target":
        change = {"targetVolumeAttributesClassName": "fast", "status": "InProgress"}
        claim.status = from_dict(PersistentVolumeClaim, {"status": {"modifyVolumeStatus": change}}).status
    obj = make_volume(volumeAttributesClassName="fast") if user == "volume" else claim
    api.put(obj)
    await settle(api, protection)
    await api.delete(VolumeAttributesClass, "fast")
    await settle(api, protection)
    assert api.find(VolumeAttributesClass, "fast").metadata.finalizers == ["kubernetes.io/vac-protection"]
    await api.delete(type(obj), obj.name, obj.namespace)
    await settle(api, protection)
    assert api.all(VolumeAttributesClass) == []


# Ephemeral volumes

SCRATCH = {
    "name": "scratch",
    "ephemeral": {
        "volumeClaimTemplate": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    },
}


async def test_an_ephemeral_volumes_claim_belongs_to_its_pod() -> None:
    api = FakeApi()
    controller = Running(api, EPHEMERAL)
    pod = api.put(make_pod("p", SCRATCH))
    await settle(api, controller)
    claim = claim_of(api, "p-scratch")
    (owner,) = claim.metadata.ownerReferences
    assert (owner.kind, owner.uid, owner.controller) == ("Pod", pod.metadata.uid, True)
    assert (claim.labels, claim.spec.resources.requests) == ({"a": "b"}, {"storage": "1Gi"})


async def test_a_strangers_claim_of_that_name_is_left_alone_and_told() -> None:
    api = FakeApi()
    controller = Running(api, EPHEMERAL)
    stranger = api.put(make_claim("p-scratch"))
    api.put(make_pod("p", SCRATCH))
    await settle(api, controller)
    assert claim_of(api, "p-scratch").metadata.resourceVersion == stranger.metadata.resourceVersion
    assert controller.recorder.events == [
        "Warning FailedBinding ephemeral volume scratch: PVC team/p-scratch was not created for pod team/p "
        "(pod is not owner)"
    ]
    await api.delete(PersistentVolumeClaim, "p-scratch", "team")
    await settle(api, controller)
    assert claim_of(api, "p-scratch").metadata.ownerReferences
