"""Which volume a claim gets, and what becomes of claims and volumes: all decisions, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from controller_manager.controllers.volumes import _binding as binding
from controller_manager.controllers.volumes._matching import best_match, mismatch
from kubeapi.core.persistentvolume.binding import BIND_COMPLETED, BOUND_BY_CONTROLLER, PROVISIONED_BY, SELECTED_NODE
from tests.kits.volumes import claim_ref, make_claim, make_class, make_volume


def chosen(claim: Any, *volumes: Any, delayed: bool = False) -> str:
    best = best_match(claim, volumes, delayed=delayed)
    return best.name if best is not None else ""


# Which volume fits


def test_the_smallest_that_fits_is_taken() -> None:
    volumes = [make_volume("big", "10Gi"), make_volume("fits", "2Gi"), make_volume("small", "512Mi")]
    assert chosen(make_claim(size="1Gi"), *volumes) == "fits"


def test_access_modes_and_labels_that_nobody_asked_for_are_kept_for_others() -> None:
    many = make_volume("a-many", accessModes=["ReadWriteOnce", "ReadWriteMany"])
    labelled, plain = make_volume("b-labelled", labels={"tier": "x"}), make_volume("c-plain")
    assert chosen(make_claim(), many, labelled, plain) == "c-plain"
    assert chosen(make_claim(selector={"matchLabels": {"tier": "x"}}), many, labelled, plain) == "b-labelled"
    assert chosen(make_claim(accessModes=["ReadWriteMany"]), many, labelled, plain) == "a-many"


@pytest.mark.parametrize(
    "volume",
    [
        make_volume(size="1023Mi"),
        make_volume(storage_class="other"),
        make_volume(accessModes=["ReadOnlyMany"]),
        make_volume(volumeMode="Block"),
        make_volume(phase="Released"),
        make_volume(phase="Pending"),
        make_volume(claimRef=claim_ref("other")),
        make_volume(claimRef=claim_ref("c", "uid-of-an-earlier-one")),
        make_volume(volumeAttributesClassName="fast"),
    ],
)
def test_what_does_not_fit_is_not_taken(volume: Any) -> None:
    assert chosen(make_claim(size="1Gi"), volume) == ""


def test_a_volume_that_is_being_deleted_is_not_taken_even_where_it_is_reserved() -> None:
    volume = make_volume(claimRef=claim_ref("c"))
    assert chosen(make_claim(), volume) == "v"
    volume.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    assert chosen(make_claim(), volume) == ""


def test_the_reserved_volume_comes_first_and_is_the_only_one_for_a_claim_that_waits_for_its_pod() -> None:
    reserved, smaller = make_volume("reserved", "5Gi", "any", claimRef=claim_ref("c")), make_volume("smaller")
    assert chosen(make_claim(), smaller, reserved) == "reserved"
    assert chosen(make_claim(), smaller, delayed=True) == ""
    assert chosen(make_claim(), smaller, reserved, delayed=True) == "reserved"


def test_read_write_once_pod_is_an_access_mode_of_its_own() -> None:
    claim = make_claim(accessModes=["ReadWriteOncePod"])
    assert chosen(claim, make_volume()) == ""
    assert chosen(claim, make_volume(accessModes=["ReadWriteOncePod"])) == "v"


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        (make_volume(), ""),
        (make_volume(size="1Mi"), "requested PV is too small"),
        (make_volume(storage_class="other"), "storageClassName does not match"),
        (make_volume(volumeAttributesClassName="x"), "volumeAttributesClassName does not match"),
        (make_volume(volumeMode="Block"), "incompatible volumeMode"),
        (make_volume(accessModes=["ReadOnlyMany"]), "incompatible accessMode"),
    ],
)
def test_why_a_named_volume_can_not_be_had(volume: Any, why: str) -> None:
    assert mismatch(volume, make_claim()) == why


# What happens to a claim


def planned(claim: Any, *volumes: Any, classes: Any = (), pods: Any = ()) -> binding.ClaimPlan:
    named = {volume.name: volume for volume in volumes}
    world = binding.ClaimWorld(named.get, lambda _: volumes, lambda: classes, lambda _: list(pods))
    return binding.plan_claim(claim, world)


def told(plan: binding.ClaimPlan) -> str:
    return f"{plan.phase} {plan.event.reason}" if plan.event is not None else plan.phase


def bound_claim(**spec: Any) -> Any:
    return make_claim(annotations={BIND_COMPLETED: "yes"}, **spec)


def test_an_unbound_claim_gets_the_volume_that_fits() -> None:
    volume = make_volume()
    assert planned(make_claim(), volume).bind is volume


def test_a_claim_that_is_being_deleted_gets_none() -> None:
    claim = make_claim()
    claim.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    assert planned(claim, make_volume()) == binding.ClaimPlan()


def test_the_volume_that_a_claim_names() -> None:
    claim = make_claim(volumeName="v")
    assert told(planned(claim)) == "Pending"
    assert planned(claim, free := make_volume()).bind is free
    assert planned(claim, reserved := make_volume(claimRef=claim_ref("c"))).bind is reserved
    assert told(planned(claim, make_volume(claimRef=claim_ref("other")))) == "Pending FailedBinding"
    assert told(planned(claim, make_volume(size="1Mi"))) == "Pending VolumeMismatch"


def test_a_claim_that_was_bound_is_bound_again_or_lost_and_never_gets_another_volume() -> None:
    spare = make_volume("spare")
    assert told(planned(bound_claim(), spare)) == "Lost ClaimLost"
    assert told(planned(bound_claim(volumeName="v"), spare)) == "Lost ClaimLost"
    other = make_volume(claimRef=claim_ref("c", "uid-other"))
    assert told(planned(bound_claim(volumeName="v"), spare, other)) == "Lost ClaimMisbound"
    for ref in (None, claim_ref("c", "uid-c")):
        volume = make_volume(claimRef=ref) if ref else make_volume()
        assert planned(bound_claim(volumeName="v"), spare, volume).bind is volume


@pytest.mark.parametrize(
    ("storage_class", "notes", "pods", "expected", "message"),
    [
        (None, {}, (), "Pending ProvisioningFailed", 'storageclass.storage.k8s.io "manual" not found'),
        (make_class("manual"), {}, (), "Pending ExternalProvisioning", "external provisioner 'x.example/p'"),
        (
            make_class("manual", "kubernetes.io/no-provisioner"), {}, (), "Pending ProvisioningFailed",
            "no volume plugin matched name: kubernetes.io/no-provisioner",
        ),
        (
            make_class("manual", volumeBindingMode="WaitForFirstConsumer"), {}, (), "Pending WaitForFirstConsumer",
            "waiting for first consumer to be created before binding",
        ),
        (
            make_class("manual", volumeBindingMode="WaitForFirstConsumer"), {}, ("p",), "Pending WaitForPodScheduled",
            "waiting for pod p to be scheduled",
        ),
        (
            make_class("manual", volumeBindingMode="WaitForFirstConsumer"), {}, ("p", "q"),
            "Pending WaitForPodScheduled", "waiting for pods p,q to be scheduled",
        ),
        (
            make_class("manual", volumeBindingMode="WaitForFirstConsumer"), {SELECTED_NODE: "n"}, ("p",),
            "Pending ExternalProvisioning", "external provisioner 'x.example/p'",
        ),
    ],
)  # fmt: skip
def test_what_a_claim_without_a_volume_waits_for(
    storage_class: Any, notes: Any, pods: Any, expected: str, message: str
) -> None:
    plan = planned(make_claim(annotations=notes), classes=[storage_class] if storage_class else [], pods=pods)
    assert told(plan) == expected
    assert plan.event is not None
    assert message in plan.event.message
    assert plan.provisioner == ("x.example/p" if "External" in expected else "")


def test_a_claim_without_a_class_gets_the_newest_default_and_one_that_wants_none_does_not() -> None:
    classes = [
        make_class("old", default=True, created="2026-01-01T00:00:00Z"),
        make_class("new-b", default=True, created="2026-01-02T00:00:00Z"),
        make_class("new-a", default=True, created="2026-01-02T00:00:00Z"),
        make_class("newest-but-not-default", created="2026-01-03T00:00:00Z"),
    ]
    assert planned(make_claim(storage_class=None), classes=classes).default_class == "new-a"
    assert told(planned(make_claim(storage_class=None))) == "Pending FailedBinding"
    assert told(planned(make_claim(storage_class=""), classes=classes)) == "Pending FailedBinding"
    classless = make_volume(storage_class="")
    assert planned(make_claim(storage_class=None), classless, classes=classes).bind is classless


# What happens to a volume


def fate(volume: Any, claim: Any = None) -> tuple[str, str, bool]:
    plan = binding.plan_volume(volume, claim)
    return plan.phase, plan.event.reason if plan.event else "", plan.unbind


DYNAMIC = {PROVISIONED_BY: "x.example/p"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"persistentVolumeReclaimPolicy": "Retain"}, ("Released", "", False)),
        ({"persistentVolumeReclaimPolicy": "Recycle"}, ("Failed", "VolumeFailedRecycle", False)),
        ({"persistentVolumeReclaimPolicy": "Delete"}, ("Failed", "VolumeFailedDelete", False)),
        ({"persistentVolumeReclaimPolicy": "Delete", "annotations": DYNAMIC}, ("Released", "", False)),
        (
            {"persistentVolumeReclaimPolicy": "Delete", "annotations": {PROVISIONED_BY: "kubernetes.io/aws-ebs"}},
            ("Failed", "VolumeFailedDelete", False),
        ),
        (
            {"persistentVolumeReclaimPolicy": "Delete", "csi": {"driver": "d", "volumeHandle": "h"}},
            ("Released", "", False),
        ),
    ],
)
def test_a_volume_whose_claim_is_gone(spec: Any, expected: Any) -> None:
    assert fate(make_volume(claimRef=claim_ref("c", "uid-c"), **spec)) == expected


def test_a_volume_that_could_not_be_reclaimed_stays_so() -> None:
    volume = make_volume(phase="Failed", claimRef=claim_ref("c", "uid-c"), persistentVolumeReclaimPolicy="Retain")
    assert fate(volume) == ("", "", False)


def test_a_volume_and_its_claim() -> None:
    assert fate(make_volume(phase="Pending")) == ("Available", "", False)
    assert fate(make_volume(phase="Pending", claimRef=claim_ref("c"))) == ("Available", "", False)
    mine = make_volume(claimRef=claim_ref("c", "uid-c"))
    assert fate(mine, make_claim(volumeName="v")) == ("Bound", "", False)
    assert fate(mine, make_claim()) == ("", "", False)
    assert fate(mine, make_claim(volumeMode="Block")) == ("", "VolumeMismatch", False)
    assert fate(mine, make_claim(volumeName="other")) == ("Available", "", True)
    made = make_volume(claimRef=claim_ref("c", "uid-c"), annotations=DYNAMIC, persistentVolumeReclaimPolicy="Delete")
    assert fate(made, make_claim(volumeName="other")) == ("Released", "", False)


# What is written


def test_binding_writes_both_sides_and_says_who_did_it() -> None:
    claim, volume = make_claim(), make_volume()
    given = binding.bound_volume(volume, claim)
    assert given is not None
    assert given.spec.claimRef.uid == "uid-c"
    assert given.annotations == {BOUND_BY_CONTROLLER: "yes"}
    taken = binding.bound_claim(claim, given)
    assert taken is not None
    assert (taken.spec.volumeName, taken.annotations) == ("v", {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"})
    assert binding.bound_volume(given, claim) is None
    assert binding.bound_claim(taken, given) is None


def test_who_asked_for_the_other_side_himself_is_not_marked() -> None:
    given = binding.bound_volume(make_volume(claimRef=claim_ref("c")), make_claim())
    assert given is not None
    assert given.spec.claimRef.uid == "uid-c"
    assert given.annotations == {}
    taken = binding.bound_claim(make_claim(volumeName="v"), given)
    assert taken is not None
    assert taken.annotations == {BIND_COMPLETED: "yes"}


def test_unbinding_takes_back_what_the_controller_wrote_and_no_more() -> None:
    ours = make_volume(claimRef=claim_ref("c", "uid-c"), annotations={BOUND_BY_CONTROLLER: "yes", "a": "b"})
    users = make_volume(claimRef=claim_ref("c", "uid-c"))
    assert binding.unbound_volume(ours).spec.claimRef is None
    assert binding.unbound_volume(ours).annotations == {"a": "b"}
    freed = binding.unbound_volume(users).spec.claimRef
    assert freed is not None
    assert (freed.name, freed.uid) == ("c", None)


def test_a_bound_claim_has_its_volumes_size_until_whoever_resizes_it_says_otherwise() -> None:
    volume = make_volume(size="2Gi")
    bound = binding.claim_in_phase(make_claim(), "Bound", volume)
    assert bound is not None
    assert bound.status.capacity == {"storage": "2Gi"}
    assert bound.status.accessModes == ["ReadWriteOnce"]
    assert binding.claim_in_phase(bound, "Bound", make_volume(size="5Gi")) is None
    lost = binding.claim_in_phase(bound, "Lost")
    assert lost is not None
    assert (lost.status.capacity, lost.status.accessModes) == (None, None)
