"""What admission does to claims, volumes and their classes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from apimachinery.errors import Forbidden
from apimachinery.resource import Resource
from apiserver.admission._plugin import CREATE, UPDATE, Attributes
from apiserver.admission.storage import defaultstorageclass, persistentvolumeclaimresize, storageobjectinuseprotection
from apiserver.request.user import User
from kubeapi.core.persistentvolume.resource import RESOURCE as VOLUMES
from kubeapi.core.persistentvolumeclaim.resource import RESOURCE as CLAIMS
from kubeapi.storage.storageclass import RESOURCE as CLASSES
from kubeapi.storage.volumeattributesclass import RESOURCE as ATTRIBUTES
from tests.kits.kinds import load

Dict = dict[str, Any]

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
ANNOTATION = "volume.beta.kubernetes.io/storage-class"
NOT_RESIZED = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


def storage_class(name: str, *, since: str = OLD, default: bool = True, **fields: Any) -> Any:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    meta = {"name": name, "creationTimestamp": since, "annotations": annotations}
    return load(CLASSES, {"metadata": meta, "provisioner": "p", **fields})


def claim(storage: str = "1Gi", annotations: Dict | None = None, **spec: Any) -> Any:
    meta = {"name": "c", "namespace": "ns", "annotations": annotations}
    return load(CLAIMS, {"metadata": meta, "spec": {"resources": {"requests": {"storage": storage}}, **spec}})


def knowing(*classes: Any) -> Any:
    """The part of the look-up that the plugins use, with these classes."""

    def derived(resource: Resource[Any], make: Callable[[list[Any]], Any]) -> Any:
        return make(list(classes))

    return SimpleNamespace(resource=lambda plural, group: CLASSES, derived=derived)


def asked(obj: Any, old: Any = None, resource: Resource[Any] = CLAIMS) -> Attributes:
    operation = CREATE if old is None else UPDATE
    return Attributes(operation, resource, "", obj.namespace, obj.name, obj, old, User("u"))


@pytest.mark.parametrize(
    ("classes", "chosen"),
    [
        ((), None),
        ((storage_class("a", default=False),), None),
        ((storage_class("a"),), "a"),
        ((storage_class("a"), storage_class("b", since=NEW)), "b"),
        ((storage_class("b"), storage_class("a")), "a"),
        ((storage_class("a"), storage_class("b", since=NEW, default=False)), "a"),
    ],
)
def test_a_claim_without_a_class_gets_the_newest_default(classes: tuple[Any, ...], chosen: str | None) -> None:
    obj = claim()
    defaultstorageclass.admit(asked(obj), knowing(*classes))
    assert obj.spec.storageClassName == chosen


@pytest.mark.parametrize(
    "obj", [claim(storageClassName=""), claim(storageClassName="x"), claim(annotations={ANNOTATION: ""})]
)
def test_a_claim_that_says_something_keeps_it(obj: Any) -> None:
    before = obj.clone()
    defaultstorageclass.admit(asked(obj), knowing(storage_class("a")))
    assert obj == before


def test_claims_grow_only_in_classes_that_allow_it() -> None:
    classes = knowing(storage_class("grows", allowVolumeExpansion=True), storage_class("fixed"))

    def refusal(new: Any, old: Any) -> str:
        try:
            persistentvolumeclaimresize.check(asked(new, old), classes)
        except Forbidden as error:
            return str(error).partition(" is forbidden: ")[2]
        return ""

    assert refusal(claim("2Gi", storageClassName="grows"), claim(storageClassName="grows")) == ""
    assert refusal(claim("2Gi", {ANNOTATION: "grows"}), claim(annotations={ANNOTATION: "grows"})) == ""
    for name in ("fixed", "none", ""):
        assert refusal(claim("2Gi", storageClassName=name), claim(storageClassName=name)) == NOT_RESIZED
        assert refusal(claim(storageClassName=name), claim(storageClassName=name)) == ""
        assert refusal(claim(storageClassName=name), claim("2Gi", storageClassName=name)) == ""


@pytest.mark.parametrize(
    ("resource", "finalizer"),
    [
        (VOLUMES, "kubernetes.io/pv-protection"),
        (CLAIMS, "kubernetes.io/pvc-protection"),
        (ATTRIBUTES, "kubernetes.io/vac-protection"),
    ],
)
def test_what_may_be_in_use_stays_when_it_is_deleted(resource: Resource[Any], finalizer: str) -> None:
    plugin = storageobjectinuseprotection.ADMISSION
    assert plugin.concerns(resource, "", CREATE)
    assert not plugin.concerns(resource, "status", UPDATE)
    for present in (["own"], ["own", finalizer]):
        obj = load(resource, {"metadata": {"name": "x", "finalizers": present}})
        storageobjectinuseprotection.admit(asked(obj, resource=resource), knowing())
        assert obj.metadata.finalizers == ["own", finalizer]
