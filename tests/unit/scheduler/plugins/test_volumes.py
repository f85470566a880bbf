"""Where a pod may go with its claims and disks, what its claims get there, and what it is told when nothing fits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from apimachinery.errors import Conflict
from apimachinery.meta import Object
from apimachinery.model import from_dict
from scheduler.core.extension_points import Framework
from scheduler.core.placement import Choice, Placement
from scheduler.events import other_event
from scheduler.framework import Cycle, Rejected, Unfit, collect_plugins
from scheduler.plugins.volumes.volume_binding import VolumeBinding
from scheduler.state.storage import Disk
from scheduler.views.csidriver import CSIDriver
from scheduler.views.csinode import CSINode
from scheduler.views.csistoragecapacity import CSIStorageCapacity
from scheduler.views.persistentvolume import PersistentVolume
from scheduler.views.persistentvolumeclaim import PersistentVolumeClaim
from scheduler.views.pod import Pod
from scheduler.views.storageclass import StorageClass
from scheduler.views.volumeattachment import VolumeAttachment
from tests.kits.control_plane.scheduler import World, node, pod
from tests.kits.eventually import eventually_async

BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
HOST = "kubernetes.io/hostname"
NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"


def claim(name: str = "data", size: str = "1Gi", /, **more: Any) -> PersistentVolumeClaim:
    """`volume` binds it; `annotations`, `phase` and `modes` are as on the wire, the rest is its spec."""
    volume = more.pop("volume", None)
    annotations = more.pop("annotations", BOUND if volume else {})
    metadata = {"name": name, "namespace": "default", "uid": f"claim-{name}", "resourceVersion": "5"}
    metadata |= {"annotations": annotations, **more.pop("metadata", {})}
    spec = {"accessModes": more.pop("modes", ["ReadWriteOnce"]), "resources": {"requests": {"storage": size}}}
    spec |= {"volumeName": volume, "storageClassName": "late"} | more
    phase = spec.pop("phase", "Bound" if volume else "Pending")
    return from_dict(PersistentVolumeClaim, {"metadata": metadata, "spec": spec, "status": {"phase": phase}})


def volume(name: str, size: str = "1Gi", /, *, on: str = "", **more: Any) -> PersistentVolume:
    """`on` is the only node that it can be reached from."""
    metadata = {"name": name, "resourceVersion": "3", "labels": more.pop("labels", {})}
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "late"}
    if on:
        terms = [{"matchExpressions": [{"key": HOST, "operator": "In", "values": [on]}]}]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    phase = more.pop("phase", "Available")
    return from_dict(PersistentVolume, {"metadata": metadata, "spec": spec | more, "status": {"phase": phase}})


def storage_class(name: str = "late", provisioner: str = "kubernetes.io/no-provisioner", **more: Any) -> StorageClass:
    body = {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer"}
    return from_dict(StorageClass, body | more)


def using(*claims: str, **spec: Any) -> Pod:
    volumes = [
        {"name": f"v{number}", "persistentVolumeClaim": {"claimName": name}} for number, name in enumerate(claims)
    ]
    return pod(volumes=volumes, **spec)


def world(*objects: Object, nodes: int = 3, labels: dict[str, dict[str, str]] | None = None) -> World:
    made = World(*(node(name, labels=(labels or {}).get(name, {})) for name in [f"n{i + 1}" for i in range(nodes)]))
    for item in objects:
        made.lister.put(item)
    return made


def fitting(made: World, *claims: str) -> set[str]:
    return made.fitting(lambda: using(*claims))


def test_a_pod_without_storage_is_nobody_s_business() -> None:
    made = world()
    cycle = made.cycle(pod(volumes=[{"name": "token", "projected": {}}, {"name": "tmp", "emptyDir": {}}]))
    assert cycle.pod.spec.volumes is None
    assert cycle.storage is None
    assert isinstance(made.placement.choose(cycle), Choice)
    assert not any(name.startswith(("Volume", "NodeVolume")) for name in cycle.state)


class TestClaims:
    @pytest.mark.parametrize(
        ("claims", "message"),
        [
            ([], 'persistentvolumeclaim "data" not found'),
            (
                [claim(volume="gone", phase="Lost")],
                'persistentvolumeclaim "data" bound to non-existent persistentvolume "gone"',
            ),
            (
                [claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})],
                'persistentvolumeclaim "data" is being deleted',
            ),
            ([claim(storageClassName="none")], "pod has unbound immediate PersistentVolumeClaims"),
            ([claim(storageClassName="")], "pod has unbound immediate PersistentVolumeClaims"),
            ([claim(volume="v", annotations={})], "pod has unbound immediate PersistentVolumeClaims"),
        ],
    )
    def test_what_keeps_a_pod_from_every_node(self, claims: list[Object], message: str) -> None:
        made = world(storage_class(), *claims)
        assert made.message(using("data")) == f"0/3 nodes are available: {message}."

    def test_an_ephemeral_claim_belongs_to_its_pod(self) -> None:
        made = world(storage_class(provisioner="example.com/disk"))

        def message() -> str:
            return made.message(pod("web", uid="pod-1", volumes=[{"name": "v", "ephemeral": {}}]))

        wait = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "web-v"'
        assert message() == f"0/3 nodes are available: {wait}."
        made.lister.put(claim("web-v"))
        foreign = "PVC default/web-v was not created for pod default/web (pod is not owner)"
        assert message() == f"0/3 nodes are available: {foreign}."
        owner = {"kind": "Pod", "name": "web", "uid": "pod-1", "controller": True}
        made.lister.put(claim("web-v", metadata={"ownerReferences": [owner]}))
        found = made.choose(pod("web", uid="pod-1", volumes=[{"name": "v", "ephemeral": {}}]))
        assert isinstance(found, Choice)


class TestBoundVolumes:
    def test_a_pod_goes_where_all_its_volumes_are(self) -> None:
        made = world(claim("a", volume="va"), claim("b", volume="vb"), volume("va", on="n2"), volume("vb"))
        assert fitting(made, "a", "b") == {"n2"}
        made.lister.put(volume("vb", on="n3"))
        assert made.message(using("a", "b")) == f"0/3 nodes are available: 3 {NODE_CONFLICT}."

    def test_a_volume_that_is_gone_is_told(self) -> None:
        made = world(claim(volume="gone"))
        reason = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
        assert made.message(using("data")) == f"0/3 nodes are available: 3 {reason}."


class TestMatching:
    def test_a_claim_takes_the_smallest_volume_that_suits(self) -> None:
        made = world(
            storage_class(),
            claim("data", "2Gi", selector={"matchLabels": {"disk": "fast"}}),
            volume("small", "1Gi", on="n1", labels={"disk": "fast"}),
            volume("slow", "2Gi", on="n1"),
            volume("other-class", "2Gi", on="n1", labels={"disk": "fast"}, storageClassName="x"),
            volume("block", "2Gi", on="n1", labels={"disk": "fast"}, volumeMode="Block"),
            volume("many", "2Gi", on="n1", labels={"disk": "fast"}, accessModes=["ReadOnlyMany"]),
            volume("taken", "2Gi", on="n1", labels={"disk": "fast"}, claimRef={"namespace": "default", "name": "x"}),
            volume("released", "2Gi", on="n1", labels={"disk": "fast"}, phase="Released"),
            volume("tuned", "2Gi", on="n1", labels={"disk": "fast"}, volumeAttributesClassName="gold"),
            volume("large", "9Gi", on="n2", labels={"disk": "fast"}),
            volume("medium", "3Gi", on="n2", labels={"disk": "fast"}),
        )
        assert fitting(made, "data") == {"n2"}
        cycle = made.cycle(using("data"))
        made.placement.choose(cycle)
        (plan,) = cycle.state["VolumeBinding"].claims
        chosen = plan.volume(made.cache.table.rows["n2"])
        assert chosen is not None
        assert chosen.name == "medium"

    def test_two_claims_get_two_volumes(self) -> None:
        made = world(
            storage_class(), claim("a"), claim("b"), volume("v1", on="n1"), volume("v2", on="n2"), volume("v3", on="n2")
        )
        assert fitting(made, "a") == {"n1", "n2"}
        assert fitting(made, "a", "b") == {"n2"}

    def test_the_smaller_claim_chooses_first(self) -> None:
        made = world(storage_class(), claim("big", "5Gi"), claim("small"), volume("v1", "1Gi"), volume("v5", "5Gi"))
        assert fitting(made, "big", "small") == {"n1", "n2", "n3"}

    def test_a_volume_kept_for_the_claim_is_the_only_one(self) -> None:
        kept = volume("kept", on="n3", claimRef={"namespace": "default", "name": "data"}, phase="Pending")
        made = world(storage_class(), claim(), volume("free", on="n1"), kept)
        assert fitting(made, "data") == {"n3"}

    def test_without_a_volume_or_a_provisioner_there_is_no_node(self) -> None:
        made = world(storage_class(), claim(), volume("v", on="n1"))
        assert fitting(made, "data") == {"n1"}
        made.lister.remove(volume("v"))
        assert made.message(using("data")) == f"0/3 nodes are available: 3 {BIND_CONFLICT}."


class TestProvisioning:
    def test_any_node_of_the_class_s_topologies_will_do(self) -> None:
        zone = {"matchLabelExpressions": [{"key": "zone", "values": ["a", "b"]}]}
        labels = {"n1": {"zone": "a"}, "n2": {"zone": "c"}}
        made = world(storage_class(provisioner="example.com/disk"), claim(), labels=labels)
        assert fitting(made, "data") == {"n1", "n2", "n3"}
        made.lister.put(storage_class(provisioner="example.com/disk", allowedTopologies=[zone]))
        assert fitting(made, "data") == {"n1"}

    def test_a_claim_stays_on_the_node_that_its_volume_is_made_on(self) -> None:
        annotations = {"volume.kubernetes.io/selected-node": "n2"}
        made = world(storage_class(provisioner="example.com/disk"), claim(annotations=annotations))
        assert fitting(made, "data") == {"n2"}

    def test_a_driver_says_where_it_has_room(self) -> None:
        driver = from_dict(CSIDriver, {"metadata": {"name": "disk"}, "spec": {"storageCapacity": True}})
        made = world(storage_class(provisioner="disk"), claim("data", "2Gi"), driver)
        reason = "node(s) did not have enough free storage"
        assert made.message(using("data")) == f"0/3 nodes are available: 3 {reason}."

        def room(host: str, **amounts: str) -> None:
            body: dict[str, Any] = {"metadata": {"name": host, "namespace": "kube-system"}, "storageClassName": "late"}
            made.lister.put(
                from_dict(CSIStorageCapacity, body | {"nodeTopology": {"matchLabels": {HOST: host}}} | amounts)
            )

        room("n1", capacity="5Gi")
        room("n2", capacity="1Gi")
        room("n3", capacity="5Gi", maximumVolumeSize="1Gi")
        assert fitting(made, "data") == {"n1"}
        other = "1 node(s) were unschedulable"
        made.cache.put_node(node("n1", unschedulable=True))
        assert made.message(using("data")) == f"0/3 nodes are available: {other}, 2 {reason}."


class TestRestrictions:
    def test_a_claim_for_one_pod_is_not_shared(self) -> None:
        made = world(claim(volume="v", modes=["ReadWriteOncePod"]), volume("v"))
        assert made.place(using("data"))
        reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
        assert made.message(using("data")) == f"0/3 nodes are available: 3 {reason}."
        made.lister.put(claim(volume="v"))
        assert fitting(made, "data") == {"n1", "n2", "n3"}

    def test_the_pod_that_frees_it_lets_the_next_in(self) -> None:
        made = world(claim(volume="v", modes=["ReadWriteOncePod"]), volume("v"))
        first = made.run(using("data"), "n1")
        assert fitting(made, "data") == set()
        made.cache.remove_pod(first)
        assert fitting(made, "data") == {"n1", "n2", "n3"}

    def test_a_disk_is_written_by_one_pod_of_a_node(self) -> None:
        def disk(read_only: bool = False) -> Callable[[], Pod]:
            source = {"pdName": "d", "readOnly": read_only}
            return lambda: pod(volumes=[{"name": "v", "gcePersistentDisk": source}])

        made = world()
        made.run(disk()(), "n1")
        assert made.fitting(disk()) == {"n2", "n3"}
        made.run(disk(read_only=True)(), "n2")
        assert made.fitting(disk(read_only=True)) == {"n2", "n3"}

    @pytest.mark.parametrize(
        ("one", "other", "conflict"),
        [
            (Disk("aws", "a"), Disk("aws", "a"), True),
            (Disk("aws", "a"), Disk("gce", "a"), False),
            (Disk("gce", "a", True), Disk("gce", "a", True), False),
            (Disk("gce", "a", True), Disk("gce", "a"), True),
            (Disk("rbd", "p/i", False, frozenset("ab")), Disk("rbd", "p/i", False, frozenset("bc")), True),
            (Disk("rbd", "p/i", False, frozenset("a")), Disk("rbd", "p/i", False, frozenset("c")), False),
        ],
    )
    def test_disks(self, one: Disk, other: Disk, conflict: bool) -> None:
        assert one.conflicts(other) is other.conflicts(one) is conflict


class TestZones:
    ZONE, OLD_ZONE = "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"

    def test_a_pod_follows_its_volume_s_zone(self) -> None:
        labels = {"n1": {self.ZONE: "a"}, "n2": {self.ZONE: "b"}, "n3": {self.ZONE: "c"}}
        made = world(claim(volume="v"), volume("v", labels={self.ZONE: "a__b"}), labels=labels)
        assert fitting(made, "data") == {"n1", "n2"}
        made.lister.put(volume("v", labels={self.ZONE: "d"}))
        reason = "node(s) had no available volume zone"
        assert made.message(using("data")) == f"0/3 nodes are available: 3 {reason}."

    def test_old_labels_of_volumes_mean_new_ones_of_nodes(self) -> None:
        labels = {"n1": {self.ZONE: "a"}, "n2": {self.OLD_ZONE: "a"}}
        made = world(claim(volume="v"), volume("v", labels={self.OLD_ZONE: "a"}), labels=labels)
        assert fitting(made, "data") == {"n1", "n2", "n3"}
        labels = {"n1": {self.ZONE: "b"}, "n2": {self.OLD_ZONE: "b"}, "n3": {"topology.kubernetes.io/region": "r"}}
        made = world(claim(volume="v"), volume("v", labels={self.OLD_ZONE: "a"}), labels=labels)
        assert fitting(made, "data") == set()


class TestLimits:
    def limited(self, *more: Object, count: int = 1) -> World:
        drivers = [{"name": "disk", "nodeID": "x", "allocatable": {"count": count}}]
        limits = [
            from_dict(CSINode, {"metadata": {"name": name}, "spec": {"drivers": drivers}}) for name in ("n1", "n2")
        ]
        csi = [volume(f"v-{name}", csi={"driver": "disk", "volumeHandle": name}) for name in "ab"]
        return world(*limits, *csi, claim("a", volume="v-a"), claim("b", volume="v-b"), *more)

    def test_a_node_takes_no_more_volumes_than_its_driver_says(self) -> None:
        made = self.limited()
        made.run(using("a"), "n1")
        assert fitting(made, "b") == {"n2", "n3"}
        assert fitting(made, "a") == {"n1", "n2", "n3"}
        made.run(using("a"), "n2")
        made.cache.remove_node("n3")
        assert made.message(using("b")) == "0/2 nodes are available: 2 node(s) exceed max volume count."

    def test_what_is_attached_and_what_will_be_made_count(self) -> None:
        attached = {"attacher": "disk", "nodeName": "n1", "source": {"persistentVolumeName": "v-a"}}
        attachment = from_dict(VolumeAttachment, {"metadata": {"name": "at"}, "spec": attached})
        made = self.limited(attachment, storage_class(provisioner="disk"), claim("new"))
        assert fitting(made, "new") == {"n2", "n3"}
        assert fitting(made, "b", "new") == {"n3"}
        assert fitting(self.limited(storage_class(provisioner="disk"), claim("new"), count=2), "b", "new") == {
            "n1",
            "n2",
            "n3",
        }


class Api:
    """Takes patches; `apply` has the caches see them, in the order written."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.patches: list[tuple[str, dict[str, Any]]] = []
        self.version = 10
        self.error: Exception | None = None

    async def patch(self, model: type[Any], name: str, namespace: str, patch: dict[str, Any]) -> Any:
        if self.error is not None:
            raise self.error
        self.patches.append((name, patch))
        self.version += 1
        changed = self.world.lister.get(model, f"{namespace}/{name}" if namespace else name).clone()
        changed.metadata.resourceVersion = str(self.version)
        return changed


class Binding:
    """A pod that has got node n1, and is being bound."""

    def __init__(self, made: World, *claims: str) -> None:
        self.world, self.api = made, Api(made)
        plugin = made.framework.plugins["VolumeBinding"]
        assert isinstance(plugin, VolumeBinding)
        object.__setattr__(plugin.handle, "rest", self.api)
        self.plugin = plugin
        self.cycle: Cycle = made.cycle(using(*claims))
        assert isinstance(made.placement.choose(self.cycle), Choice)
        assert plugin.reserve(self.cycle, "n1") is None

    async def start(self) -> asyncio.Task[Rejected | None]:
        task = asyncio.create_task(self.plugin.pre_bind(self.cycle, "n1"))
        await eventually_async(lambda: self.api.patches or task.done())
        return task

    def see(self, obj: Object, version: int = 99) -> None:
        """An informer has it."""
        obj.metadata.resourceVersion = str(version)
        old = self.world.lister.get(type(obj), obj.key)
        self.world.lister.put(obj)
        self.world.framework.observe(other_event(type(obj).__name__, old, obj))


OWNER = {"namespace": "default", "name": "data", "uid": "claim-data"}


class TestBinding:
    def static(self) -> Binding:
        return Binding(world(storage_class(), claim(), volume("v", on="n1")), "data")

    def dynamic(self) -> Binding:
        return Binding(world(storage_class(provisioner="example.com/disk"), claim()), "data")

    async def test_a_volume_is_given_to_its_claim_and_waited_for(self) -> None:
        binding = self.static()
        assert binding.plugin.is_slow(binding.cycle)
        task = await binding.start()
        ((name, patch),) = binding.api.patches
        assert name == "v"
        assert patch["metadata"] == {
            "resourceVersion": "3",
            "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
        }
        kind = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "resourceVersion": "5"}
        assert patch["spec"]["claimRef"] == kind | OWNER
        binding.see(claim(volume="v"))
        binding.see(volume("v", claimRef=OWNER), version=10)
        await asyncio.sleep(0)
        assert not task.done()
        binding.see(volume("v", claimRef=OWNER))
        assert await task is None
        assert not binding.plugin.is_slow(binding.cycle)

    async def test_a_volume_kept_for_the_claim_by_its_owner_stays_so(self) -> None:
        kept = volume("v", claimRef={"namespace": "default", "name": "data"})
        binding = Binding(world(storage_class(), claim(), kept), "data")
        task = await binding.start()
        ((_, patch),) = binding.api.patches
        assert patch["metadata"] == {"resourceVersion": "3"}
        task.cancel()

    @pytest.mark.parametrize("provisioned", [False, True])
    async def test_a_scheduler_goes_on_where_another_has_died(self, provisioned: bool) -> None:
        """What was written is not written again, and only the node that was chosen then is looked at."""
        if provisioned:
            waiting = claim(annotations={"volume.kubernetes.io/selected-node": "n1"})
            made = world(storage_class(provisioner="example.com/disk"), waiting)
        else:
            made = world(storage_class(), claim(), volume("v", on="n1", claimRef=OWNER), volume("w", on="n2"))
        assert fitting(made, "data") == {"n1"}
        binding = Binding(made, "data")
        task = asyncio.create_task(binding.plugin.pre_bind(binding.cycle, "n1"))
        await asyncio.sleep(0)
        assert binding.api.patches == []
        annotations = BOUND | {"volume.kubernetes.io/selected-node": "n1"}
        binding.see(volume("v", on="n1", claimRef=OWNER))
        binding.see(claim(volume="v", annotations=annotations))
        assert await task is None

    async def test_a_claim_is_left_to_the_provisioner_of_its_node(self) -> None:
        binding = self.dynamic()
        task = await binding.start()
        ((name, patch),) = binding.api.patches
        annotations = {"volume.kubernetes.io/selected-node": "n1"}
        assert (name, patch) == ("data", {"metadata": {"resourceVersion": "5", "annotations": annotations}})
        binding.see(claim(annotations=annotations))
        binding.see(volume("pvc-1", on="n1"))
        assert not task.done()
        binding.see(claim(volume="pvc-1", annotations=annotations | BOUND))
        assert await task is None

    @pytest.mark.parametrize(
        ("seen", "why"),
        [
            (claim(), 'selectedNode annotation reset for PVC "data"'),
            (
                claim(annotations={"volume.kubernetes.io/selected-node": "n2"}),
                'provisioning failed for PVC "data"',
            ),
            (claim(metadata={"uid": "another"}), 'persistentvolumeclaim "data" not found'),
            (
                claim(volume="far", annotations={"volume.kubernetes.io/selected-node": "n1"}),
                'pv "far" node affinity doesn\'t match node "n1"',
            ),
        ],
    )
    async def test_a_provisioner_that_gives_up_lets_another_node_be_chosen(
        self, seen: PersistentVolumeClaim, why: str
    ) -> None:
        binding = self.dynamic()
        task = await binding.start()
        binding.see(volume("far", on="n2"))
        binding.see(seen.clone())
        assert await task == Rejected(f'running PreBind plugin "VolumeBinding": binding volumes: {why}')

    async def test_a_volume_that_another_claim_gets_is_lost(self) -> None:
        binding = self.static()
        task = await binding.start()
        binding.see(volume("v", claimRef=OWNER | {"name": "other"}))
        rejected = await task
        assert rejected is not None
        assert rejected.reason.endswith('ClaimRef got reset for pv "v"')

    async def test_a_conflict_is_tried_again_later(self) -> None:
        binding = self.static()
        binding.api.error = Conflict("changed")
        rejected = await (await binding.start())
        assert rejected is not None
        assert "changed" in rejected.reason
        binding.plugin.unreserve(binding.cycle, "n1")
        assert not binding.plugin.is_slow(binding.cycle)

    async def test_it_waits_for_ten_minutes(self) -> None:
        binding = self.dynamic()
        assert binding.plugin.bind_seconds == 600
        binding.plugin.bind_seconds = 0.01
        rejected = await (await binding.start())
        assert rejected is not None
        assert rejected.reason.endswith("binding volumes: context deadline exceeded")

    def test_what_is_reserved_is_not_given_twice(self) -> None:
        made = world(storage_class(), claim(), claim("other"), volume("v", on="n1"))
        binding = Binding(made, "data")
        assert fitting(made, "data") == {"n1"}
        assert fitting(made, "other") == set()
        other_profile = Placement(Framework(collect_plugins(), made.handle), made.cache)
        assert isinstance(other_profile.choose(made.cycle(using("other"))), Unfit)
        binding.plugin.unreserve(binding.cycle, "n1")
        assert fitting(made, "other") == {"n1"}

    def test_pods_that_share_an_unbound_claim_go_to_one_node(self) -> None:
        binding = self.dynamic()
        assert fitting(binding.world, "data") == {"n1"}


def test_a_claim_helps_pods_of_its_namespace() -> None:
    made = world()
    shape = made.cache.shapes.of(using("data"))
    waits = frozenset(("VolumeBinding",))
    foreign = claim(metadata={"namespace": "x"})
    assert made.framework.may_help(waits, shape, other_event("PersistentVolumeClaim", None, claim()))
    assert not made.framework.may_help(waits, shape, other_event("PersistentVolumeClaim", None, foreign))
    assert made.framework.may_help(waits, shape, other_event("StorageClass", None, storage_class()))
