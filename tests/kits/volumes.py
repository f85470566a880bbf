"""Claims, volumes and classes for tests."""

from __future__ import annotations

from typing import Any

from apimachinery.model import from_dict
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.storage.storageclass import StorageClass
from tests.fakes.api import FakeApi

Dict = dict[str, Any]


def claim_body(name: str = "c", size: str = "1Gi", storage_class: str | None = "manual", **spec: Any) -> Dict:
    """The claim as a client sends it. `annotations` is that of the metadata, all others are members of the spec."""
    notes = spec.pop("annotations", None)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    meta = {"name": name, "namespace": "team"} | ({"annotations": notes} if notes else {})
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def make_claim(name: str = "c", size: str = "1Gi", storage_class: str | None = "manual", **spec: Any) -> Any:
    """The claim with the uid "uid-NAME"."""
    claim = from_dict(PersistentVolumeClaim, claim_body(name, size, storage_class, **spec))
    claim.metadata.uid = f"uid-{name}"
    return claim


def volume_body(name: str = "v", size: str = "1Gi", storage_class: str = "manual", **spec: Any) -> Dict:
    """The volume as a client sends it. `labels` and `annotations` are those of the metadata."""
    meta: Dict = {"name": name}
    for key in ("labels", "annotations"):
        if key in spec:
            meta[key] = spec.pop(key)
    source = {} if "local" in spec or "csi" in spec else {"hostPath": {"path": "/x"}}
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], **source, **spec}
    spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec}


def make_volume(
    name: str = "v", size: str = "1Gi", storage_class: str = "manual", phase: str = "Available", **spec: Any
) -> Any:
    volume = from_dict(PersistentVolume, volume_body(name, size, storage_class, **spec))
    volume.status.phase = phase
    volume.metadata.uid = f"uid-{name}"
    return volume


def claim_ref(name: str = "c", uid: str | None = None) -> Dict:
    return {"namespace": "team", "name": name} | ({"uid": uid} if uid else {})


def make_class(name: str, provisioner: str = "x.example/p", **members: Any) -> Any:
    """`default=True` makes it a default class, `created` is its creationTimestamp."""
    meta: Dict = {"name": name, "creationTimestamp": members.pop("created", None)}
    if members.pop("default", False):
        meta["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    return from_dict(StorageClass, {"metadata": meta, "provisioner": provisioner, **members})


def claim_of(api: FakeApi, name: str = "c") -> Any:
    return api.find(PersistentVolumeClaim, f"team/{name}")


def volume_of(api: FakeApi, name: str = "v") -> Any:
    return api.find(PersistentVolume, name)
