"""Volumes follow their pods from node to node, and never leave one that still has them mounted."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from controller_manager.controllers.volumes._attachments import UNMOUNT_SECONDS
from controller_manager.controllers.volumes.attachdetach import CONTROLLER
from kubeapi.core.node import OUT_OF_SERVICE_TAINT, Node
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeapi.storage.csidriver import CSIDriver
from kubeapi.storage.volumeattachment import VolumeAttachment, attachment_name
from tests.fakes.api import FakeApi, Running, settle
from tests.kits.volumes import claim_ref, make_claim, make_volume

DRIVER = "disks.example.com"
UNIQUE = f"kubernetes.io/csi/{DRIVER}^h-v"


class Cluster:
    """Two nodes, a bound claim, and the external-attacher of its driver."""

    def __init__(self, *, mode: str = "ReadWriteOnce", managed: bool = True) -> None:
        self.api = FakeApi()
        notes = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"} if managed else {}
        for name in ("n1", "n2"):
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            self.api.put(from_dict(Node, {"metadata": {"name": name, "annotations": notes}, "status": ready}))
        csi = {"driver": DRIVER, "volumeHandle": "h-v"}
        self.api.put(make_volume(csi=csi, claimRef=claim_ref(), accessModes=[mode]))
        self.api.put(make_claim(volumeName="v", accessModes=[mode]))
        self.controller = Running(self.api, CONTROLLER)

    async def settle(self) -> None:
        await settle(self.api, self.controller)

    def pod(self, name: str, node: str, claim: str = "c") -> None:
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        spec = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes, "nodeName": node}
        self.api.put(from_dict(Pod, {"metadata": {"name": name, "namespace": "team"}, "spec": spec}))

    async def end_pod(self, name: str) -> None:
        await self.api.delete(Pod, name, "team")

    def attachments(self) -> dict[str, VolumeAttachment]:
        return {item.spec.nodeName: item for item in self.api.all(VolumeAttachment)}

    def attach(self, node: str) -> None:
        def edit(attachment: VolumeAttachment) -> None:
            attachment.status.attached = True

        self.api.change(VolumeAttachment, attachment_name(DRIVER, "h-v", node), edit)

    def attached(self, node: str) -> list[str]:
        return [item.name for item in self.api.find(Node, node).status.volumesAttached or ()]

    def use(self, node: str, *names: str) -> None:
        def edit(obj: Node) -> None:
            obj.status.volumesInUse = list(names) or None

        self.api.change(Node, node, edit)

    @property
    def events(self) -> list[str]:
        return self.controller.recorder.events


async def test_a_volume_is_attached_where_its_pod_is_and_detached_after_it() -> None:
    cluster = Cluster()
    await cluster.settle()
    assert cluster.attachments() == {}
    cluster.pod("web", "n1")
    await cluster.settle()
    attachment = cluster.attachments()["n1"]
    assert (attachment.spec.attacher, attachment.spec.source.persistentVolumeName) == (DRIVER, "v")
    assert attachment.name == attachment_name(DRIVER, "h-v", "n1")
    assert cluster.attached("n1") == []
    cluster.attach("n1")
    await cluster.settle()
    assert cluster.attached("n1") == [UNIQUE]
    assert cluster.events == ['Normal SuccessfulAttachVolume AttachVolume.Attach succeeded for volume "v" ']
    cluster.use("n1", UNIQUE)
    await cluster.end_pod("web")
    await cluster.settle()
    assert list(cluster.attachments()) == ["n1"]  # still mounted
    assert cluster.attached("n1") == [UNIQUE]
    cluster.use("n1")
    await cluster.settle()
    assert cluster.attachments() == {}
    assert cluster.attached("n1") == []


async def test_the_status_of_the_node_forbids_the_mount_before_the_volume_is_detached() -> None:
    cluster = Cluster()
    cluster.pod("web", "n1")
    await cluster.settle()
    cluster.attach("n1")
    await cluster.settle()
    await cluster.end_pod("web")
    seen: list[list[str]] = []
    cluster.api.before = lambda request: seen.append(cluster.attached("n1")) if request.startswith("DELETE") else None
    await cluster.settle()
    assert seen == [[]]


async def test_a_kubelet_that_uses_the_volume_again_in_the_last_moment_keeps_it() -> None:
    cluster = Cluster()
    cluster.pod("web", "n1")
    await cluster.settle()
    cluster.attach("n1")
    await cluster.settle()
    await cluster.end_pod("web")
    cluster.api.deliver()

    def kubelet_reports(request: str) -> None:
        if request.startswith("PUT nodes"):
            cluster.api.before = None
            cluster.use("n1", UNIQUE)

    cluster.api.before = kubelet_reports
    await cluster.controller.step()
    assert list(cluster.attachments()) == ["n1"]
    assert cluster.attached("n1") == [UNIQUE]


async def test_nothing_is_attached_for_who_needs_it_not() -> None:
    cluster = Cluster()
    spec = {"attachRequired": False}
    cluster.api.put(from_dict(CSIDriver, {"metadata": {"name": DRIVER}, "spec": spec}))
    cluster.pod("web", "n1")
    await cluster.settle()
    assert cluster.attachments() == {}
    unmanaged = Cluster(managed=False)
    unmanaged.pod("web", "n1")
    await unmanaged.settle()
    assert unmanaged.attachments() == {}


async def test_a_pod_that_has_ended_uses_nothing() -> None:
    cluster = Cluster()
    cluster.pod("job", "n1")
    await cluster.settle()
    cluster.api.change(Pod, "team/job", lambda pod: setattr(pod.status, "phase", "Succeeded"))
    await cluster.settle()
    assert cluster.attachments() == {}


async def test_a_claim_that_is_bound_later_is_attached_then() -> None:
    cluster = Cluster()
    cluster.api.put(make_claim("late"))
    cluster.pod("web", "n1", claim="late")
    await cluster.settle()
    assert cluster.attachments() == {}
    csi = {"driver": DRIVER, "volumeHandle": "h-late"}
    cluster.api.change(PersistentVolumeClaim, "team/late", lambda claim: setattr(claim.spec, "volumeName", "w"))
    await cluster.settle()
    cluster.api.put(make_volume("w", csi=csi, claimRef=claim_ref("late")))
    await cluster.settle()
    assert list(cluster.attachments()) == ["n1"]


async def test_an_exclusive_volume_waits_until_the_other_node_has_given_it_up() -> None:
    cluster = Cluster()
    cluster.pod("one", "n1")
    await cluster.settle()
    cluster.attach("n1")
    cluster.use("n1", UNIQUE)
    cluster.pod("two", "n2")
    await cluster.settle()
    await cluster.settle()
    assert list(cluster.attachments()) == ["n1"]
    refusals = [event for event in cluster.events if "Multi-Attach" in event]
    assert refusals == [
        'Warning FailedAttachVolume Multi-Attach error for volume "v" Volume is already used by pod(s) one'
    ]
    await cluster.end_pod("one")
    cluster.use("n1")
    await cluster.settle()
    assert list(cluster.attachments()) == ["n2"]


async def test_a_shared_volume_is_attached_to_both() -> None:
    cluster = Cluster(mode="ReadWriteMany")
    cluster.pod("one", "n1")
    cluster.pod("two", "n2")
    await cluster.settle()
    assert sorted(cluster.attachments()) == ["n1", "n2"]


async def test_a_failure_of_the_attacher_is_told_once() -> None:
    cluster = Cluster()
    cluster.pod("web", "n1")
    await cluster.settle()

    def fail(attachment: Any) -> None:
        attachment.status = from_dict(VolumeAttachment, {"status": {"attachError": {"message": "no disk"}}}).status

    cluster.api.change(VolumeAttachment, attachment_name(DRIVER, "h-v", "n1"), fail)
    await cluster.settle()
    cluster.use("n1")
    await cluster.settle()
    assert cluster.events == ['Warning FailedAttachVolume AttachVolume.Attach failed for volume "v" : no disk']


@pytest.mark.parametrize("how", ["silent", "tainted", "deleted"])
async def test_a_lost_node_loses_its_volume(how: str) -> None:
    cluster = Cluster()
    cluster.pod("web", "n1")
    await cluster.settle()
    cluster.attach("n1")
    cluster.use("n1", UNIQUE)
    await cluster.settle()
    await cluster.end_pod("web")
    await cluster.settle()
    assert list(cluster.attachments()) == ["n1"]
    assert cluster.controller.delays["n1"] == UNMOUNT_SECONDS
    if how == "deleted":
        await cluster.api.delete(Node, "n1")
    elif how == "tainted":
        taint = from_dict(Node, {"spec": {"taints": [{"key": OUT_OF_SERVICE_TAINT, "effect": "NoExecute"}]}})
        cluster.api.change(Node, "n1", lambda node: setattr(node.spec, "taints", taint.spec.taints))
    else:
        await cluster.api.clock.advance(UNMOUNT_SECONDS)
        cluster.controller.queue.add("n1")
        await cluster.settle()
        assert list(cluster.attachments()) == ["n1"]  # its kubelet is alive, and may be slow
        cluster.api.change(Node, "n1", lambda node: setattr(node.status.conditions[0], "status", "Unknown"))
    await cluster.settle()
    assert cluster.attachments() == {}


async def test_two_controllers_do_no_harm_together() -> None:
    cluster = Cluster()
    other = Running(cluster.api, CONTROLLER)
    cluster.pod("web", "n1")
    cluster.api.deliver()
    await cluster.controller.step()
    await other.step()
    await settle(cluster.api, cluster.controller, other)
    assert list(cluster.attachments()) == ["n1"]
    assert cluster.api.all(PersistentVolume)


async def test_an_attachment_of_somebody_else_to_a_volume_that_there_is_not_stays() -> None:
    cluster = Cluster()
    spec = {"attacher": "theirs.example", "nodeName": "n1", "source": {"persistentVolumeName": "none"}}
    cluster.api.put(from_dict(VolumeAttachment, {"metadata": {"name": "theirs"}, "spec": spec}))
    await cluster.settle()
    assert [item.name for item in cluster.attachments().values()] == ["theirs"]
