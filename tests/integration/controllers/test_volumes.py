"""Claims and volumes against a real API server: who gets which, and a manager that is killed at every write."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import orjson
import pytest

from apimachinery.errors import UnclassifiedError
from controller_manager.controllers.provisioners.localpath import CONTROLLER as LOCAL_PATH
from controller_manager.controllers.provisioners.localpath import NAME as LOCAL_PATH_NAME
from controller_manager.controllers.provisioners.sharedfolder import CONTROLLER as SHARED_FOLDER
from controller_manager.controllers.provisioners.sharedfolder import NAME as SHARED_FOLDER_NAME
from controller_manager.controllers.volumes.ephemeralvolume import CONTROLLER as EPHEMERAL
from controller_manager.controllers.volumes.persistentvolumebinder import CONTROLLER as BINDER
from controller_manager.controllers.volumes.pvcprotection import CONTROLLER as CLAIM_PROTECTION
from controller_manager.controllers.volumes.pvprotection import CONTROLLER as VOLUME_PROTECTION
from kubelet.volume.folders import FolderKeeper, FolderRefusal, folder_roots
from tests.integration.conftest import Shared
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.cuts import Step, Story, play, play_every_cut
from tests.kits.volumes import claim_body, volume_body

Dict = dict[str, Any]

SPECS = (BINDER, CLAIM_PROTECTION, VOLUME_PROTECTION, LOCAL_PATH, SHARED_FOLDER, EPHEMERAL)
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
NODE = "worker-1"
FOLDERS = re.compile(rf"/api/v1/nodes/{NODE}/proxy/folders/([a-z]+)/(.+)")


class Kubelet:
    """The part of a kubelet that keeps folders, where the API server's proxy would reach it."""

    def __init__(self, folder: Path) -> None:
        self.roots = folder_roots(str(folder / "kubelet"), str(folder / "shared"))
        self._keeper = FolderKeeper(self.roots)

    def detour(self, method: str, path: str) -> Awaitable[bytes] | None:
        match = FOLDERS.fullmatch(path)
        return self._change(method, match[1], match[2]) if match else None

    async def _change(self, method: str, kind: str, name: str) -> bytes:
        try:
            if method == "PUT":
                return orjson.dumps({"path": await self._keeper.make(kind, name)})
            await self._keeper.delete(kind, name)
            await self._keeper.remove_deleted()
            return b"{}"
        except FolderRefusal as refusal:
            raise UnclassifiedError(refusal.message) from None

    def folders(self, kind: str = "local") -> list[Path]:
        root = Path(self.roots[kind])
        return sorted(root.iterdir()) if root.is_dir() else []


class World:
    """What a user sees, in one namespace."""

    def __init__(self, api: ApiServer, namespace: str, kubelet: Kubelet) -> None:
        self.api, self.kubelet = api, kubelet
        self.claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"

    def story(self, *steps: Step, **members: Any) -> Story:
        return Story(SPECS, steps, self.kubelet.detour, **members)

    def create(self, path: str, body: Dict) -> None:
        body = {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "namespace"}}
        answer = self.api.http.post(path, json=body)
        assert answer.status_code == 201, answer.text

    def claim(self, name: str = "c") -> Dict:
        answer = self.api.http.get(f"{self.claims}/{name}")
        found: Dict = answer.json() if answer.status_code == 200 else {}
        return found

    def is_bound(self, name: str = "c") -> bool:
        claim = self.claim(name)
        return claim["status"]["phase"] == "Bound" and claim["metadata"]["finalizers"] == [
            "kubernetes.io/pvc-protection"
        ]

    def volumes(self) -> list[Dict]:
        items: list[Dict] = self.api.http.get(VOLUMES).json()["items"]
        return items

    def delete(self, path: str) -> None:
        assert self.api.http.delete(path).status_code == 200

    def is_clean(self) -> bool:
        return not self.claim() and not self.volumes() and not self.kubelet.folders()

    def grow(self, size: str = "2Gi") -> None:
        patch = {"spec": {"resources": {"requests": {"storage": size}}}}
        headers = {"content-type": "application/merge-patch+json"}
        answer = self.api.http.patch(f"{self.claims}/c", json=patch, headers=headers)
        assert answer.status_code == 200, answer.text

    def has_grown(self, size: str = "2Gi") -> bool:
        status, volume = self.claim()["status"], self.volumes()[0]
        sizes = (status["capacity"]["storage"], volume["spec"]["capacity"]["storage"])
        return sizes == (size, size) and "conditions" not in status and "allocatedResourceStatuses" not in status

    def write_data(self) -> None:
        (folder,) = self.kubelet.folders()
        (folder / "data").write_text("precious")


@pytest.fixture(scope="module")
def kubelet(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Kubelet:
    """A ready node with folders."""
    answer = api.http.post("/api/v1/nodes", json={"metadata": {"name": NODE}})
    assert answer.status_code == 201
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    headers = {"content-type": "application/strategic-merge-patch+json"}
    assert api.http.patch(f"/api/v1/nodes/{NODE}/status", json=status, headers=headers).status_code == 200
    return Kubelet(tmp_path_factory.mktemp("node"))


def new_world(api: ApiServer, kubelet: Kubelet, name: str) -> World:
    api.make_namespace(name)
    return World(api, name, kubelet)


def local_class(name: str, **members: Any) -> Dict:
    mode = {"volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": True}
    return {"metadata": {"name": name}, "provisioner": LOCAL_PATH_NAME, **mode, **members}


CHOSEN = {"volume.kubernetes.io/selected-node": NODE}


async def test_a_provisioned_claim_survives_a_death_at_every_write(
    api: ApiServer, kubelet: Kubelet, shared: Shared
) -> None:
    shared(CLASSES, local_class("cut"))
    events: list[str] = []

    def story(number: int) -> Story:
        world = new_world(api, kubelet, f"cut-{number}")

        def is_provisioned() -> bool:
            if not world.is_bound():
                return False
            (volume,) = world.volumes()
            (folder,) = kubelet.folders()
            return volume["status"]["phase"] == "Bound" and volume["metadata"]["name"] == folder.name

        def delete_written() -> None:
            world.write_data()
            world.delete(f"{world.claims}/c")

        body = claim_body(storage_class="cut", annotations=CHOSEN)
        told = world.story(
            Step(lambda: world.create(world.claims, body), is_provisioned, "the claim is bound to one new volume"),
            Step(world.grow, world.has_grown, "claim and volume have grown"),
            Step(delete_written, world.is_clean, "claim, volume and folder are gone"),
        )
        told.events = events
        return told

    assert await play_every_cut(api, story) >= 10
    assert {"Provisioning", "ProvisioningSucceeded"} <= set(events)


async def test_a_claim_that_is_deleted_while_nobody_looks_leaves_no_folder(
    api: ApiServer, kubelet: Kubelet, shared: Shared
) -> None:
    shared(CLASSES, local_class("gone"))

    def story(number: int) -> Story:
        world = new_world(api, kubelet, f"gone-{number}")
        body = claim_body(storage_class="gone", annotations=CHOSEN)

        def delete() -> None:
            api.http.delete(f"{world.claims}/c")

        def is_decided() -> bool:
            claim = world.claim()
            return not claim or "deletionTimestamp" in claim["metadata"] or world.is_bound()

        return world.story(
            Step(lambda: world.create(world.claims, body), is_decided, "bound or deleted"),
            Step(delete, world.is_clean, "nothing is left"),
            meanwhile=delete,
        )

    assert await play_every_cut(api, story) >= 10


async def test_two_claims_and_one_volume_survive_a_death_at_every_write(
    api: ApiServer, kubelet: Kubelet, shared: Shared
) -> None:
    def story(number: int) -> Story:
        world = new_world(api, kubelet, f"pair-{number}")
        name = f"pair-{number}"

        def phases() -> list[str]:
            return sorted(world.claim(claim).get("status", {}).get("phase", "") for claim in ("a", "b"))

        def volume() -> Dict:
            found: Dict = api.http.get(f"{VOLUMES}/{name}").json()
            return found

        def offer() -> None:
            world.create(world.claims, claim_body("a", storage_class=name))
            world.create(world.claims, claim_body("b", storage_class=name))
            world.create(VOLUMES, volume_body(name, storage_class=name))

        def one_is_bound() -> bool:
            ref = volume()["spec"].get("claimRef")
            if phases() != ["Bound", "Pending"] or not ref or volume()["status"]["phase"] != "Bound":
                return False
            return bool(world.claim(ref["name"])["spec"]["volumeName"] == name)

        def delete_owner() -> None:
            world.delete(f"{world.claims}/{volume()['spec']['claimRef']['name']}")

        def is_released() -> bool:  # and the other claim does not get what may still hold data
            return volume()["status"]["phase"] == "Released" and phases() == ["", "Pending"]

        def clean() -> None:
            world.delete(f"{VOLUMES}/{name}")
            for claim in ("a", "b"):
                api.http.delete(f"{world.claims}/{claim}")

        return world.story(
            Step(offer, one_is_bound, "one of two claims is bound"),
            Step(delete_owner, is_released, "the volume is released"),
            Step(clean, lambda: phases() == ["", ""] and not world.volumes(), "all is gone"),
        )

    assert await play_every_cut(api, story) >= 5


async def test_data_outlives_its_claim_with_retain(api: ApiServer, kubelet: Kubelet, shared: Shared) -> None:
    shared(CLASSES, local_class("keep", reclaimPolicy="Retain"))
    world = new_world(api, kubelet, "keep")
    body = claim_body(storage_class="keep", annotations=CHOSEN)

    def delete_written() -> None:
        world.write_data()
        world.delete(f"{world.claims}/c")

    def is_released() -> bool:
        return not world.claim() and world.volumes()[0]["status"]["phase"] == "Released"

    def delete_volume() -> None:
        world.delete(f"{VOLUMES}/{world.volumes()[0]['metadata']['name']}")

    await play(
        api,
        world.story(
            Step(lambda: world.create(world.claims, body), world.is_bound, "bound"),
            Step(delete_written, is_released, "released"),
            Step(delete_volume, lambda: not world.volumes(), "the volume is gone"),
        ),
    )
    (folder,) = kubelet.folders()
    assert (folder / "data").read_text() == "precious"
    (folder / "data").unlink()
    folder.rmdir()


async def test_a_shared_volume_is_for_pods_of_all_nodes_and_grows(
    api: ApiServer, kubelet: Kubelet, shared: Shared
) -> None:
    shared(CLASSES, {"metadata": {"name": "many"}, "provisioner": SHARED_FOLDER_NAME, "allowVolumeExpansion": True})
    world = new_world(api, kubelet, "many")
    body = claim_body(storage_class="many", accessModes=["ReadWriteMany"])

    def is_made() -> bool:
        if not world.is_bound():
            return False
        spec = world.volumes()[0]["spec"]
        (folder,) = kubelet.folders("shared")
        return spec["hostPath"] == {"path": str(folder), "type": "Directory"} and "nodeAffinity" not in spec

    await play(
        api,
        world.story(
            Step(lambda: world.create(world.claims, body), is_made, "made"),
            Step(world.grow, world.has_grown, "grown"),
            Step(
                lambda: world.delete(f"{world.claims}/c"),
                lambda: not world.volumes() and not kubelet.folders("shared"),
                "gone",
            ),
        ),
    )
