"""Where pods with claims go, what they are told, and what is written for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apimachinery.errors import Conflict, NotFound
from apimachinery.meta import Object
from apimachinery.model import from_dict
from kubeapi.resource.resourceclaim.model import FINALIZER, ResourceClaim
from scheduler.core.placement import Choice
from scheduler.events import NODE, Change, ClusterEvent, other_event
from scheduler.framework import Cycle, PluginError, Unfit
from scheduler.plugins.devices.dynamic_resources import DynamicResources
from scheduler.views.pod import Pod
from tests.kits.control_plane.scheduler import World, node, pod
from tests.kits.devices import DRIVER, asks, claim, device, device_class, first_of, slice_of

DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def using(*claims: str, name: str = "web", **spec: Any) -> Pod:
    entries = [{"name": f"r{number}", "resourceClaimName": name} for number, name in enumerate(claims)]
    return pod(name, uid=name, resourceClaims=entries, **spec)


def from_template(made: str | None = "") -> Pod:
    """Its claim is not made yet ("" ), is not needed (None), or has this name."""
    bare = using()
    status: list[dict[str, Any]] = []
    if made != "":
        status = [{"name": "r", "resourceClaimName": made}]
    document = {
        "metadata": {"name": "web", "namespace": "default", "uid": "web"},
        "spec": {"containers": [], "resourceClaims": [{"name": "r", "resourceClaimTemplateName": "t"}]},
        "status": {"resourceClaimStatuses": status},
    }
    return from_dict(type(bare), document)


class Bench:
    """Nodes n1 and n2 with a device each, and an API server that keeps claims; `see` has the caches see one."""

    def __init__(self, *objects: Object, slices: bool = True) -> None:
        self.world = World(node("n1"), node("n2"))
        self.stored: dict[str, ResourceClaim] = {}
        self.writes: list[tuple[str, str]] = []
        self.conflicts = 0
        self.version = 10
        object.__setattr__(self.world.handle, "rest", self)
        self.plugin = self.a_plugin()
        for item in (device_class(), *((slice_of("n1", "a"), slice_of("n2", "b")) if slices else ()), *objects):
            self.see(item)

    def a_plugin(self) -> DynamicResources:
        """Another profile's, which is the one that chooses from now on."""
        plugin = DynamicResources("DynamicResources", self.world.handle)
        self.world.framework.plugins["DynamicResources"] = plugin
        for plugins in (self.world.framework.filter, self.world.framework.score):
            plugins[:] = [plugin if item.name == plugin.name else item for item in plugins]
        self.world.framework.observers.append(plugin)
        return plugin

    def see(self, obj: Object) -> None:
        old = self.world.lister.get(type(obj), obj.key)
        self.world.lister.put(obj)
        if isinstance(obj, ResourceClaim):
            self.stored.setdefault(obj.key, obj)
        self.world.framework.observe(other_event(type(obj).__name__, old, obj))

    def message(self, pod: Pod) -> str:
        return self.world.message(pod).removeprefix("0/2 nodes are available: ").removesuffix(".")

    def chosen(self, pod: Pod) -> tuple[Cycle, str]:
        cycle = self.world.cycle(pod)
        outcome = self.world.placement.choose(cycle)
        assert isinstance(outcome, Choice), outcome
        return cycle, outcome.node

    def reserved(self, pod: Pod) -> tuple[Cycle, str]:
        cycle, name = self.chosen(pod)
        assert self.plugin.reserve(cycle, name) is None
        return cycle, name

    async def bound(self, pod: Pod) -> ResourceClaim:
        """Its first claim, as it was written."""
        cycle, name = self.reserved(pod)
        assert await self.plugin.pre_bind(cycle, name) is None
        return self.stored[f"default/{(pod.spec.resourceClaims or [])[0].resourceClaimName}"]

    # the API server

    async def get(self, model: type[ResourceClaim], name: str, namespace: str) -> ResourceClaim:
        if f"{namespace}/{name}" not in self.stored:
            raise NotFound(f"{name} not found")
        return self.stored[f"{namespace}/{name}"].clone()

    async def update(self, claim: ResourceClaim, subresource: str = "") -> ResourceClaim:
        await asyncio.sleep(0)
        if self.conflicts or self.stored[claim.key].metadata.resourceVersion != claim.metadata.resourceVersion:
            self.conflicts = max(self.conflicts - 1, 0)
            raise Conflict("changed")
        self.writes.append((claim.name, subresource))
        self.version += 1
        claim = claim.clone()
        claim.metadata.resourceVersion = str(self.version)
        self.stored[claim.key] = claim
        return claim

    async def update_with(self, model: Any, name: str, namespace: str, change: Any, *, subresource: str = "") -> Any:
        changed = change(await self.get(model, name, namespace))
        return await self.update(changed, subresource) if changed is not None else None


class TestClaims:
    @pytest.mark.parametrize(
        ("claims", "asking", "message"),
        [
            ([], using("c"), 'could not find resource claim "default/c"'),
            ([claim(metadata=DELETED)], using("c"), 'resourceclaim "c" is being deleted'),
            ([], from_template(), 'pod "default/web": ResourceClaim not created yet'),
            (
                [claim("made")],
                from_template("made"),
                "ResourceClaim default/made was not created for Pod default/web (Pod is not owner)",
            ),
        ],
    )
    def test_what_keeps_a_pod_out_of_the_queue(self, claims: list[Any], asking: Pod, message: str) -> None:
        bench = Bench(*claims)
        rejected = bench.plugin.pre_enqueue(asking)
        assert rejected is not None
        assert rejected.reason == message
        assert bench.message(asking) == message

    def test_pods_without_claims_are_nobodys_business(self) -> None:
        bench = Bench()
        for free in (pod(), from_template(None)):
            assert bench.plugin.pre_enqueue(free) is None
            cycle, name = bench.reserved(free)
            assert "DynamicResources" not in cycle.state
            bench.plugin.unreserve(cycle, name)

    def test_a_claim_of_its_own_will_do(self) -> None:
        owner = {"kind": "Pod", "name": "web", "uid": "web", "controller": True}
        bench = Bench(claim("made", metadata={"ownerReferences": [owner]}))
        assert bench.plugin.pre_enqueue(from_template("made")) is None

    def test_a_claim_serves_256_pods(self) -> None:
        users = [f"p{number}" for number in range(256)]
        bench = Bench(claim(allocated=["n1/a"], reserved=users))
        assert bench.message(using("c")) == "resourceclaim in use"
        bench.chosen(using("c", name="p7"))

    def test_a_class_that_is_missing_is_told(self) -> None:
        bench = Bench(claim("c", asks("r", cls="none")))
        assert bench.message(using("c")) == "request r: device class none does not exist"

    def test_a_broken_selector_ends_the_attempt(self) -> None:
        bench = Bench(claim("c", asks("r", 'device.attributes["x"].y')))
        with pytest.raises(PluginError, match="CEL runtime error: no such key: y"):
            bench.world.choose(using("c"))


class TestNodes:
    def test_a_pod_goes_where_its_devices_are(self) -> None:
        bench = Bench(slice_of("n2", "b", "c", generation=2), claim("c", asks(count=2)))
        assert bench.world.fitting(lambda: using("c")) == {"n2"}

    def test_devices_in_use_do_not_count(self) -> None:
        bench = Bench(claim(), claim("other", allocated=["n1/a"]))
        assert bench.world.fitting(lambda: using("c")) == {"n2"}
        bench.see(claim("more", allocated=["n2/b"]))
        assert bench.message(using("c")) == "2 cannot allocate all claims"
        bench.see(claim("other"))
        assert bench.world.fitting(lambda: using("c")) == {"n1"}

    def test_an_allocated_claim_stays_where_it_is(self) -> None:
        bench = Bench(claim(allocated=["n1/a"], on="n1"), claim("new"))
        assert bench.world.fitting(lambda: using("c")) == {"n1"}
        assert bench.message(using("c", nodeSelector={"kubernetes.io/hostname": "n2"})) == (
            "1 node(s) didn't match Pod's node affinity/selector, 1 resourceclaim not available on the node"
        )
        assert bench.message(using("c", "new")) == (
            "1 cannot allocate all claims, 1 resourceclaim not available on the node"
        )

    def test_only_nodes_that_others_let_pass_are_asked(self) -> None:
        bench = Bench(claim())
        cycle, name = bench.chosen(using("c", nodeSelector={"kubernetes.io/hostname": "n2"}))
        assert name == "n2"
        assert list(cycle.state["DynamicResources"].placed) == [bench.world.cache.table.rows["n2"]]

    def test_nodes_with_the_first_alternative_are_better(self) -> None:
        old, new = (f'device.attributes["{DRIVER}"].model == "{model}"' for model in ("old", "new"))
        asked = claim("c", first_of("r", asks("new", new), asks("old", old)))
        slices = [slice_of("n1", device("a", model="old")), slice_of("n2", device("b", model="new"))]
        bench = Bench(*slices, asked, slices=False)
        assert bench.world.scores("DynamicResources", using("c")) == {}
        assert {bench.chosen(using("c"))[1] for _ in range(4)} == {"n2"}
        bench.see(claim())
        assert {bench.chosen(using("c"))[1] for _ in range(4)} == {"n1", "n2"}


class TestBinding:
    async def test_allocation_and_reservation_are_written(self) -> None:
        bench = Bench(claim())
        written = await bench.bound(using("c"))
        assert bench.writes == [("c", ""), ("c", "status")]
        assert written.metadata.finalizers == [FINALIZER]
        assert written.status.allocation is not None
        assert [item.uid for item in written.status.reservedFor or ()] == ["web"]

    async def test_an_allocated_claim_is_reserved_alone(self) -> None:
        bench = Bench(claim(allocated=["n1/a"], reserved=["first"]))
        written = await bench.bound(using("c"))
        assert bench.writes == [("c", "status")]
        assert [item.uid for item in written.status.reservedFor or ()] == ["first", "web"]
        bench.see(written)
        await bench.bound(using("c"))
        assert bench.writes == [("c", "status")]  # which it is already

    async def test_two_pods_never_get_one_device(self) -> None:
        """Not before the first is written, nor before the cache has what was written; in other profiles neither."""
        bench = Bench(claim("c"), claim("d"), claim("e"))
        first, name = bench.reserved(using("c"))
        bench.a_plugin()
        second, other = bench.reserved(using("d", name="second"))
        assert {name, other} == {"n1", "n2"}
        assert bench.message(using("e", name="third")) == "2 cannot allocate all claims"
        assert await bench.plugin.pre_bind(second, other) is None
        assert bench.message(using("e", name="third")) == "2 cannot allocate all claims"
        bench.see(bench.stored["default/d"])
        assert bench.message(using("e", name="third")) == "2 cannot allocate all claims"
        bench.plugin.unreserve(first, name)
        assert bench.chosen(using("e", name="third"))[1] == name

    async def test_two_pods_do_not_allocate_one_claim(self) -> None:
        bench = Bench(claim())
        first, name = bench.reserved(using("c"))
        waiting = "resource claim default/c is in the process of being allocated"
        assert bench.message(using("c", name="second")) == waiting
        assert await bench.plugin.pre_bind(first, name) is None
        assert bench.chosen(using("c", name="second"))[1] == name  # by what was written, which no cache has yet

    async def test_a_conflict_is_no_obstacle(self) -> None:
        bench = Bench(claim())
        bench.conflicts = 2
        written = await bench.bound(using("c"))
        assert written.status.allocation is not None

    @pytest.mark.parametrize(
        ("becomes", "why"),
        [
            (claim(allocated=["n2/z"], metadata={"resourceVersion": "6"}), "got allocated elsewhere in the meantime"),
            (claim(metadata={"resourceVersion": "6"} | DELETED), "got deleted in the meantime"),
            (claim(metadata={"resourceVersion": "6", "uid": "another"}), "got deleted in the meantime"),
        ],
    )
    async def test_a_claim_that_has_changed_sends_the_pod_back(self, becomes: Any, why: str) -> None:
        bench = Bench(claim())
        cycle, name = bench.reserved(using("c"))
        bench.stored["default/c"] = becomes
        rejected = await bench.plugin.pre_bind(cycle, name)
        assert rejected is not None
        assert rejected.reason == f'running PreBind plugin "DynamicResources": claim default/c {why}'
        assert bench.chosen(using("c"))  # nothing is pending any more

    async def test_what_is_given_up_is_taken_back_before_the_next_try(self) -> None:
        bench = Bench(claim())
        cycle, name = bench.reserved(using("c"))
        assert await bench.plugin.pre_bind(cycle, name) is None
        bench.plugin.unreserve(cycle, name)
        again, name = bench.reserved(using("c"))
        running = asyncio.create_task(bench.plugin.run())
        assert await bench.plugin.pre_bind(again, name) is None
        running.cancel()
        assert bench.writes[2:] in ([("c", "status")], [("c", "status")] * 2)
        assert [item.uid for item in bench.stored["default/c"].status.reservedFor or ()] == ["web"]


class TestDeallocation:
    async def _post_filter(self, bench: Bench, asking: Pod) -> str:
        cycle = bench.world.cycle(asking)
        unfit = bench.world.placement.choose(cycle)
        assert isinstance(unfit, Unfit)
        result = await bench.plugin.post_filter(cycle, unfit)
        return result.message if result is not None else ""

    @pytest.mark.parametrize(
        ("reserved", "message"),
        [
            ([], "deallocation of ResourceClaim completed"),
            (["web"], "deallocation of ResourceClaim completed"),
            (["other"], "still not schedulable"),
        ],
    )
    async def test_an_idle_claim_on_a_node_that_will_not_do(self, reserved: list[str], message: str) -> None:
        bench = Bench(claim(allocated=["n1/a"], on="n1", reserved=reserved))
        asking = using("c", nodeSelector={"kubernetes.io/hostname": "n2"})
        assert await self._post_filter(bench, asking) == message
        running = asyncio.create_task(bench.plugin.run())
        await bench.plugin._writer.settled(bench.stored["default/c"])
        running.cancel()
        freed = bench.stored["default/c"].status.allocation is None
        assert freed is (message != "still not schedulable")

    async def test_a_claim_that_somebody_has_begun_to_use_is_left(self) -> None:
        bench = Bench(claim(allocated=["n1/a"], on="n1"))
        await self._post_filter(bench, using("c", nodeSelector={"kubernetes.io/hostname": "n2"}))
        newer = claim(allocated=["n1/a"], on="n1", reserved=["other"], metadata={"resourceVersion": "6"})
        bench.stored["default/c"] = newer
        running = asyncio.create_task(bench.plugin.run())
        await bench.plugin._writer.settled(bench.stored["default/c"])
        running.cancel()
        assert bench.writes == []

    async def test_other_pods_and_other_reasons(self) -> None:
        bench = Bench(claim("c", asks(count=5)))
        assert await self._post_filter(bench, pod(nodeSelector={"no": "such"})) == ""
        assert await self._post_filter(bench, using("gone")) == "no new claims to deallocate"
        assert await self._post_filter(bench, using("c")) == "still not schedulable"


class TestHints:
    @pytest.mark.parametrize(
        ("old", "new", "helps"),
        [
            (None, claim(), True),
            (claim(), claim(metadata={"labels": {"a": "b"}}), False),
            (claim(), claim(allocated=["n1/a"]), True),
            (claim(allocated=["n1/a"]), claim(), True),
            (claim(allocated=["n1/a"]), None, True),
            (claim(), None, False),
            (None, claim(metadata={"namespace": "other"}), False),
            (claim(allocated=["n1/a"], metadata={"namespace": "other"}), claim(metadata={"namespace": "other"}), True),
        ],
    )
    def test_which_changes_of_claims_help(self, old: Any, new: Any, helps: bool) -> None:
        bench = Bench()
        shape = bench.world.cycle(using("c")).shape
        assert bench.plugin.hint(shape, other_event("ResourceClaim", old, new)) is helps

    def test_a_node_may_always_help(self) -> None:
        bench = Bench()
        assert bench.plugin.hint(bench.world.cycle(using("c")).shape, ClusterEvent(NODE, Change.ADD))
