"""What external-provisioner, external-attacher and external-resizer do beside a driver, as far as tests need it."""

from __future__ import annotations

import threading
from typing import Any

import httpx

from apimachinery.quantity import byte_count
from tests.kits.plugins.csi_driver import CsiDriver, pb
from tests.kits.plugins.proto import call

Dict = dict[str, Any]

CLASSES, VOLUMES, CLAIMS = (
    "/apis/storage.k8s.io/v1/storageclasses",
    "/api/v1/persistentvolumes",
    "persistentvolumeclaims",
)
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
MERGE = {"content-type": "application/merge-patch+json"}
LOOK_SECONDS = 0.1


class Sidecars:
    """Looks at all claims, volumes and attachments of its driver again and again, until the block is left."""

    def __init__(self, http: httpx.Client, driver: CsiDriver) -> None:
        self._http, self._driver = http, driver
        self._finalizer = f"external-attacher/{driver.name.replace('.', '-')}"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failure: Exception | None = None

    def __enter__(self) -> Sidecars:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._ending.wait(LOOK_SECONDS):
                self._provision()
                self._delete()
                self._attach()
                self._resize()
        except Exception as error:
            self.failure = error

    def _items(self, path: str) -> list[Dict]:
        items: list[Dict] = self._http.get(path).json()["items"]
        return items

    def _patch(self, path: str, body: Dict) -> None:
        """A conflict, or what is gone, is looked at again."""
        answer = self._http.patch(path, json=body, headers=MERGE)
        assert answer.status_code in (200, 404, 409), answer.text

    def _call(self, method: str, request: Any, answer: Any) -> Any:
        return call(str(self._driver.socket), f"/csi.v1.Controller/{method}", request, answer)

    def _classes(self) -> dict[str, Dict]:
        ours = (item for item in self._items(CLASSES) if item["provisioner"] == self._driver.name)
        return {item["metadata"]["name"]: item for item in ours}

    def _provision(self) -> None:
        classes = self._classes()
        for claim in self._items(f"/api/v1/{CLAIMS}"):
            spec, meta = claim["spec"], claim["metadata"]
            storage_class = classes.get(spec.get("storageClassName", ""))
            waits = "volume.kubernetes.io/storage-provisioner" not in meta.get("annotations", {})
            if storage_class is None or spec.get("volumeName") or waits:
                continue
            size, block = spec["resources"]["requests"]["storage"], spec["volumeMode"] == "Block"
            capability = {"block": pb.BlockVolume()} if block else {"mount": pb.MountVolume()}
            request = pb.CreateVolumeRequest(
                name=f"pvc-{meta['uid']}",
                capacity_range=pb.CapacityRange(required_bytes=byte_count(size)),
                parameters=storage_class.get("parameters", {}),
                volume_capabilities=[pb.VolumeCapability(**capability)],
            )
            made = self._call("CreateVolume", request, pb.CreateVolumeResponse).volume
            source = {"driver": self._driver.name, "volumeHandle": made.volume_id}
            source |= {} if block else {"fsType": "ext4"}
            source["volumeAttributes"] = dict(made.volume_context) or {"made": "here"}
            reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "uid": meta["uid"]}
            body = {
                "metadata": {
                    "name": request.name,
                    "annotations": {"pv.kubernetes.io/provisioned-by": self._driver.name},
                },
                "spec": {
                    "capacity": {"storage": size},
                    "accessModes": spec["accessModes"],
                    "volumeMode": spec["volumeMode"],
                    "storageClassName": spec["storageClassName"],
                    "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
                    "claimRef": reference | {"namespace": meta["namespace"], "name": meta["name"]},
                    "csi": source,
                },
            }
            assert self._http.post(VOLUMES, json=body).status_code in (201, 409)

    def _ours(self) -> list[Dict]:
        return [item for item in self._items(VOLUMES) if item["spec"].get("csi", {}).get("driver") == self._driver.name]

    def _delete(self) -> None:
        for volume in self._ours():
            spec, phase = volume["spec"], volume["status"].get("phase")
            if phase == "Released" and spec["persistentVolumeReclaimPolicy"] == "Delete":
                request = pb.DeleteVolumeRequest(volume_id=spec["csi"]["volumeHandle"])
                self._call("DeleteVolume", request, pb.Empty)
                self._http.delete(f"{VOLUMES}/{volume['metadata']['name']}")

    def _attach(self) -> None:
        handles = {item["metadata"]["name"]: item["spec"]["csi"]["volumeHandle"] for item in self._ours()}
        for attachment in self._items(ATTACHMENTS):
            spec, meta = attachment["spec"], attachment["metadata"]
            path, handle = f"{ATTACHMENTS}/{meta['name']}", handles.get(spec["source"].get("persistentVolumeName", ""))
            if spec["attacher"] != self._driver.name or handle is None:
                continue
            if meta.get("deletionTimestamp"):
                request = pb.ControllerUnpublishVolumeRequest(volume_id=handle, node_id=spec["nodeName"])
                self._call("ControllerUnpublishVolume", request, pb.Empty)
                self._patch(path, {"metadata": {"finalizers": None}})
            elif not attachment.get("status", {}).get("attached"):
                self._patch(path, {"metadata": {"finalizers": [self._finalizer]}})
                publish = pb.ControllerPublishVolumeRequest(volume_id=handle, node_id=spec["nodeName"])
                answer = self._call("ControllerPublishVolume", publish, pb.ControllerPublishVolumeResponse)
                status = {"attached": True, "attachmentMetadata": dict(answer.publish_context)}
                self._patch(f"{path}/status", {"status": status})

    def _resize(self) -> None:
        volumes = {item["metadata"]["name"]: item for item in self._ours()}
        for claim in self._items(f"/api/v1/{CLAIMS}"):
            volume = volumes.get(claim["spec"].get("volumeName", ""))
            wanted = claim["spec"]["resources"]["requests"]["storage"]
            if volume is None or byte_count(wanted) <= byte_count(volume["spec"]["capacity"]["storage"]):
                continue
            request = pb.ControllerExpandVolumeRequest(
                volume_id=volume["spec"]["csi"]["volumeHandle"],
                capacity_range=pb.CapacityRange(required_bytes=byte_count(wanted)),
            )
            self._call("ControllerExpandVolume", request, pb.ControllerExpandVolumeResponse)
            self._patch(f"{VOLUMES}/{volume['metadata']['name']}", {"spec": {"capacity": {"storage": wanted}}})
            meta = claim["metadata"]
            status = {
                "conditions": [{"type": "FileSystemResizePending", "status": "True"}],
                "allocatedResourceStatuses": {"storage": "NodeResizePending"},
            }
            self._patch(f"/api/v1/namespaces/{meta['namespace']}/{CLAIMS}/{meta['name']}/status", {"status": status})
