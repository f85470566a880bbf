"""What is decided about the claims of pods."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import to_dict
from controller_manager.controllers.devices._claims import (
    claim_from,
    claim_of,
    claims_of,
    is_done,
    needs_none,
    released,
    reserved,
)
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.resource.resourceclaim.model import FINALIZER, ResourceClaim
from kubeapi.resource.resourceclaim.resource import RESOURCE as CLAIMS
from kubeapi.resource.resourceclaimtemplate import RESOURCE as TEMPLATES
from tests.kits.kinds import A_DAY_AGO, load, merged
from tests.kits.kinds import pod as a_pod

Dict = dict[str, Any]

ENTRIES = [{"name": "own", "resourceClaimName": "mine"}, {"name": "made", "resourceClaimTemplateName": "t"}]
SPEC = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}
TEMPLATE = load(TEMPLATES, {"metadata": {"name": "t"}, "spec": {"metadata": {"labels": {"a": "b"}}, "spec": SPEC}})


def pod(name: str = "p", **top: Any) -> Pod:
    meta = {"name": name, "namespace": "ns", "uid": "uid-p"}
    obj: Pod = load(PODS, merged(a_pod({"resourceClaims": ENTRIES}, metadata=meta), top))
    return obj


def claim(*users: str, allocated: bool = True, **meta: Any) -> ResourceClaim:
    status: Dict = {"allocation": {"devices": {}}} if allocated else {}
    if users:
        status["reservedFor"] = [{"resource": "pods", "name": user, "uid": f"uid-{user}"} for user in users]
    document = {"metadata": {"name": "c", "finalizers": [FINALIZER], **meta}, "spec": SPEC, "status": status}
    obj: ResourceClaim = load(CLAIMS, document)
    return obj


def test_a_claim_is_made_of_its_template_for_its_pod() -> None:
    made = claim_from(TEMPLATE, pod(), pod().spec.resourceClaims[1], 0)  # type: ignore[index]
    meta = to_dict(made.metadata)
    assert meta.pop("name").startswith("p-made-")
    assert meta == {
        "generateName": "p-made-",
        "namespace": "ns",
        "labels": {"a": "b"},
        "annotations": {"resource.kubernetes.io/pod-claim-name": "made"},
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": "p",
                "uid": "uid-p",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    assert made.spec == TEMPLATE.spec.spec


def test_the_names_of_claims() -> None:
    entry = pod().spec.resourceClaims[1]  # type: ignore[index]
    names = {claim_from(TEMPLATE, pod(), entry, attempt).name for attempt in (0, 0, 1)}
    assert len(names) == 2
    assert claim_from(TEMPLATE, pod(metadata={"uid": "other"}), entry, 0).name not in names
    long = claim_from(TEMPLATE, pod("p" * 200), entry, 0)
    assert long.metadata.generateName == f"{'p' * 55}-m"
    assert len(long.name) == 62


def test_the_claims_of_a_pod() -> None:
    fresh = pod()
    assert [claim_of(fresh, entry) for entry in fresh.spec.resourceClaims or ()] == ["mine", ""]
    noted = pod(status={"resourceClaimStatuses": [{"name": "made", "resourceClaimName": "p-made-x"}]})
    assert list(claims_of(noted)) == ["mine", "p-made-x"]
    unneeded = pod(status={"resourceClaimStatuses": [{"name": "made"}]})
    assert [needs_none(item, item.spec.resourceClaims[1]) for item in (fresh, noted, unneeded)] == [False, False, True]  # type: ignore[index]


@pytest.mark.parametrize(
    ("top", "done"),
    [
        ({}, False),
        ({"status": {"phase": "Succeeded"}}, True),
        ({"metadata": {"deletionTimestamp": A_DAY_AGO}}, True),
        ({"metadata": {"deletionTimestamp": A_DAY_AGO}, "spec": {"nodeName": "n"}}, False),
    ],
)
def test_which_pods_are_done(top: Dict, done: bool) -> None:
    assert is_done(pod(**top)) is done


def test_claims_are_reserved_once_they_are_allocated() -> None:
    assert reserved(claim(allocated=False), pod()) is None
    assert reserved(claim("p"), pod()) is None
    assert reserved(claim(*map(str, range(256))), pod()) is None
    changed = reserved(claim("q"), pod())
    assert changed is not None
    assert [user.name for user in changed.status.reservedFor or ()] == ["q", "p"]


@pytest.mark.parametrize(
    ("before", "gone", "after"),
    [
        (claim("p"), [], claim("p")),
        (claim("p", "q"), ["uid-p"], claim("q")),
        (claim("p"), ["uid-p"], claim(allocated=False)),
        (claim(), [], claim()),
        (claim(deletionTimestamp=A_DAY_AGO), [], claim(allocated=False)),
        (claim("p", deletionTimestamp=A_DAY_AGO), [], claim("p")),
        (claim("p", finalizers=[]), ["uid-p"], claim()),
    ],
)
def test_devices_are_free_once_the_last_user_is_gone(
    before: ResourceClaim, gone: list[str], after: ResourceClaim
) -> None:
    assert released(before, gone) == after.status
