"""Which calls drivers get for the claims of pods, what containers get, and what a killed kubelet still knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from apimachinery.errors import NotFound
from kubeapi.core.pod.model import Pod
from kubeapi.resource.resourceslice import ResourceSlice
from kubeclient.rest import RestClient
from kubelet.dra.claims import ClaimManager, ClaimsError
from kubelet.dra.drivers import GRACE_SECONDS, DraDrivers, DriverMissing
from kubelet.plugins.watcher import PluginInfo, PluginRefused
from kubelet.volume.csi.drivers import OwnNode
from tests.fakes.clock import FakeClock
from tests.kits.devices import DRIVER, claim
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import make_pod
from tests.kits.plugins.dra_driver import DraDriver
from tests.kits.tasks import Tasks

OTHER = "nic.example.com"


def user(uid: str = "p1", *claims: str, uses: list[dict[str, str]] | None = None) -> Pod:
    """A pod that uses claims "c" or others by name; its container uses them all, or as said."""
    names = claims or ("c",)
    container: dict[str, Any] = {"name": "app", "image": "i"}
    container["resources"] = {"claims": uses if uses is not None else [{"name": f"r-{name}"} for name in names]}
    entries = [{"name": f"r-{name}", "resourceClaimName": name} for name in names]
    return make_pod({"containers": [container], "resourceClaims": entries}, uid=uid, name=uid)


class Node:
    """A kubelet's part that knows claims, with an API that has some; `removed` are the selectors of slices."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tasks, self.clock = Tasks(), FakeClock()
        self.claims: dict[str, Any] = {}
        self.woken: list[str] = []
        self.removed: list[str] = []
        self.servers: list[DraDriver] = []
        self.start()

    def start(self) -> None:
        rest, tasks = cast(RestClient, self), cast(asyncio.TaskGroup, self.tasks)
        self.drivers = DraDrivers(rest, cast(OwnNode, self), self.clock, tasks)
        self.manager = ClaimManager(str(self.root), rest, self.drivers, self.woken.append)
        self.manager.load()

    def allocated(self, name: str = "c", *devices: str, users: tuple[str, ...] = ("p1", "p2"), **more: Any) -> None:
        made = claim(name, allocated=[f"n1/{device}" for device in devices or ("a",)], reserved=users, **more)
        self.claims[name] = made

    async def driver(self, name: str = DRIVER, version: str = "v1") -> DraDriver:
        def find(namespace: str, name: str) -> Any:
            return self.claims[name].model_dump()

        made = DraDriver(name, self.root, self.root / "cdi", find, version=version)
        made.cdi.mkdir(exist_ok=True)
        made.serve()
        self.servers.append(made)
        await self.register(made, version)
        return made

    async def register(self, driver: DraDriver, version: str = "v1") -> None:
        info = PluginInfo("DRAPlugin", driver.name, str(driver.socket), (f"{version}.DRAPlugin",))
        await self.drivers.register(info, str(driver.socket))
        await eventually_async(lambda: self.drivers.get(driver.name).connected)

    def cdi(self, pod: Pod) -> list[str]:
        found = self.manager.devices(pod, pod.spec.containers[0])
        return [name.rpartition("=")[2] for _, device in found for name in device.cdi_names]

    # the API server, and this node as it has it

    async def get(self, model: Any, name: str, namespace: str) -> Any:
        if name not in self.claims:
            raise NotFound(f'resourceclaims.resource.k8s.io "{name}" not found')
        return self.claims[name]

    async def delete_collection(self, model: Any, *, field_selector: str) -> None:
        assert model is ResourceSlice
        self.removed.append(field_selector)

    def current(self) -> Any:
        return make_pod({"containers": []}, name="n1")

    async def wait_until(self, holds: Any) -> None:
        assert holds(self.current())


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(tmp_path)
    yield node
    for server in node.servers:
        server.die()
    await node.tasks.end()


class TestPrepare:
    async def test_a_pod_without_claims_costs_nothing(self, node: Node) -> None:
        pod = make_pod({"containers": [{"name": "app"}]})
        await node.manager.prepare(pod)
        await node.manager.unprepare("uid-1")
        assert node.manager.devices(pod, pod.spec.containers[0]) == []
        assert list(node.root.iterdir()) == []

    @pytest.mark.parametrize("version", ["v1", "v1beta1"])
    async def test_a_driver_prepares_before_the_start_and_gives_back_after_the_end(
        self, node: Node, version: str
    ) -> None:
        driver = await node.driver(version=version)
        node.allocated("c", "a", "b")
        await node.manager.prepare(user())
        assert node.cdi(user()) == ["a", "b"]
        await node.manager.prepare(user())  # again, for another sandbox
        await node.manager.unprepare("p1")
        await node.manager.unprepare("p1")
        assert driver.calls == [("NodePrepareResources", ["c"]), ("NodeUnprepareResources", ["c"])]

    async def test_pods_share_what_is_prepared_once(self, node: Node) -> None:
        driver = await node.driver()
        node.allocated()
        await asyncio.gather(node.manager.prepare(user("p1")), node.manager.prepare(user("p2")))
        assert node.cdi(user("p1")) == node.cdi(user("p2")) == ["a"]
        await node.manager.unprepare("p1")
        assert driver.methods() == ["Prepare"]
        await node.manager.unprepare("p2")
        assert driver.methods() == ["Prepare", "Unprepare"]

    async def test_claims_of_a_driver_come_together_and_each_driver_gets_its_own(self, node: Node) -> None:
        driver, other = await node.driver(), await node.driver(OTHER)
        node.allocated("c", "a")
        node.allocated("d", "b")
        node.claims["d"].status.allocation.devices.results[0].driver = OTHER
        node.allocated("e", "z")
        pod = user("p1", "c", "d", "e")
        await node.manager.prepare(pod)
        assert (driver.calls, other.calls) == (
            [("NodePrepareResources", ["c", "e"])],
            [("NodePrepareResources", ["d"])],
        )
        assert node.cdi(pod) == ["a", "b", "z"]

    async def test_a_container_gets_what_it_names(self, node: Node) -> None:
        await node.driver()
        node.allocated("c", "a", "b", "x")
        for result, request in zip(
            node.claims["c"].status.allocation.devices.results, ("q", "s/one", "t"), strict=True
        ):
            result.request = request
        await node.manager.prepare(user())
        for uses, found in (
            ([], []),
            ([{"name": "r-c"}], ["a", "b", "x"]),
            ([{"name": "r-c", "request": "s"}], ["b"]),
            ([{"name": "r-c", "request": "t"}, {"name": "r-c", "request": "q"}], ["x", "a"]),
            ([{"name": "r-c", "request": "q"}, {"name": "r-c", "request": "q"}], ["a"]),
        ):
            assert node.cdi(user(uses=uses)) == found

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"gone": True}, 'fetch ResourceClaim c: resourceclaims.resource.k8s.io "c" not found'),
            ({"users": ("p2",)}, "pod p1 (p1) is not allowed to use ResourceClaim c (claim-c)"),
            ({"driver": "no.example.com"}, "DRA driver no.example.com is not registered"),
            ({"refusal": "too hot"}, "NodePrepareResources failed for ResourceClaim c: too hot"),
        ],
    )
    async def test_why_a_pod_does_not_start(self, node: Node, change: dict[str, Any], why: str) -> None:
        driver = await node.driver()
        driver.refusal = change.get("refusal", "")
        node.allocated(users=change.get("users", ("p1",)))
        node.claims["c"].status.allocation.devices.results[0].driver = change.get("driver", DRIVER)
        if "gone" in change:
            del node.claims["c"]
        with pytest.raises(ClaimsError) as caught:
            await node.manager.prepare(user())
        assert str(caught.value) == f"prepare dynamic resources: {why}"

    async def test_a_template_s_claim_belongs_to_its_pod(self, node: Node) -> None:
        await node.driver()
        node.allocated("made")
        spec = {"containers": [], "resourceClaims": [{"name": "r", "resourceClaimTemplateName": "t"}]}
        pod = make_pod(spec, uid="p1", name="p1")
        with pytest.raises(ClaimsError, match="ResourceClaim not created yet"):
            await node.manager.prepare(pod)
        pod.status = type(pod.status).model_validate(
            {"resourceClaimStatuses": [{"name": "r", "resourceClaimName": "made"}]}
        )
        with pytest.raises(ClaimsError, match="was not created for Pod default/p1"):
            await node.manager.prepare(pod)

    async def test_a_pod_that_waits_for_a_driver_is_woken(self, node: Node) -> None:
        node.allocated()
        with pytest.raises(ClaimsError, match="is not registered"):
            await node.manager.prepare(user())
        await node.driver()
        assert node.woken == ["p1"]
        await node.manager.prepare(user())
        await node.driver(OTHER)
        assert node.woken == ["p1"]

    async def test_an_older_claim_of_the_name_is_in_the_way(self, node: Node) -> None:
        await node.driver()
        node.allocated()
        await node.manager.prepare(user("p1"))
        node.allocated(metadata={"uid": "newer"})
        with pytest.raises(ClaimsError, match="old ResourceClaim with same name c and different UID claim-c"):
            await node.manager.prepare(user("p2"))
        await node.manager.unprepare("p1")
        await node.manager.prepare(user("p2"))


class TestEnd:
    async def test_a_pod_has_not_ended_while_its_driver_does_not_answer(self, node: Node) -> None:
        driver = await node.driver()
        node.allocated()
        await node.manager.prepare(user())
        driver.refusal = "busy"
        with pytest.raises(ClaimsError, match="NodeUnprepareResources failed for ResourceClaim c: busy"):
            await node.manager.unprepare("p1")
        driver.die()
        with pytest.raises(ClaimsError, match="code = Unavailable"):
            await node.manager.unprepare("p1")
        driver.refusal = ""
        driver.serve()
        await node.manager.unprepare("p1")
        assert driver.methods() == ["Prepare", "Unprepare", "Unprepare"]

    async def test_a_kubelet_that_starts_again_knows_and_asks_again(self, node: Node) -> None:
        driver = await node.driver()
        node.allocated("c", "a", "b")
        await node.manager.prepare(user("p1"))
        await node.tasks.end()
        node.start()
        assert node.cdi(user("p1")) == ["a", "b"]  # for a container that starts again
        await node.register(driver)
        await node.manager.prepare(user("p2"))
        assert driver.methods() == ["Prepare", "Prepare"]
        assert node.cdi(user("p2")) == ["a", "b"]
        await node.manager.keep({"p2"})  # p1 is gone meanwhile
        assert driver.methods() == ["Prepare", "Prepare"]
        await node.manager.keep(set())
        assert driver.methods() == ["Prepare", "Prepare", "Unprepare"]

    async def test_pods_that_are_gone_are_tried_again(self, node: Node) -> None:
        driver = await node.driver()
        node.allocated()
        await node.manager.prepare(user())
        driver.refusal = "busy"
        await node.manager.keep(set())
        driver.refusal = ""
        await node.manager.keep(set())
        assert driver.methods() == ["Prepare", "Unprepare", "Unprepare"]
        with pytest.raises(ClaimsError, match="unable to get information for ResourceClaim c"):
            node.cdi(user())

    @pytest.mark.parametrize("text", ["{}", "[", '{"Data": {"Entries": [{}]}}'])
    async def test_a_file_that_is_not_ours_is_refused(self, node: Node, text: str) -> None:
        (node.root / "dra_manager_state").write_text(text)
        with pytest.raises((ValueError, KeyError)):
            node.manager.load()


class TestDrivers:
    SELECTOR = f"spec.nodeName=n1,spec.driver={DRIVER}"

    async def test_a_driver_of_an_unknown_version_is_refused(self, node: Node) -> None:
        info = PluginInfo("DRAPlugin", DRIVER, "/s", ("v1alpha4.DRAPlugin",))
        with pytest.raises(PluginRefused, match=f"invalid supported gRPC versions of DRA driver plugin {DRIVER} at"):
            await node.drivers.register(info, "/s")
        with pytest.raises(DriverMissing):
            node.drivers.get(DRIVER)

    async def test_slices_from_before_the_start_are_removed(self, node: Node) -> None:
        await node.drivers.run()
        assert node.removed == ["spec.nodeName=n1"]

    async def test_the_slices_of_a_driver_that_has_left_are_removed_after_a_while(self, node: Node) -> None:
        driver = await node.driver()
        await node.drivers.deregister(DRIVER, str(driver.socket))
        await node.clock.advance(GRACE_SECONDS - 1)
        assert node.removed == []
        await node.clock.advance(2)
        await eventually_async(lambda: node.removed == [self.SELECTOR])

    async def test_a_driver_that_dies_has_as_long(self, node: Node) -> None:
        driver = await node.driver()
        driver.die()
        await eventually_async(lambda: not node.drivers.get(DRIVER).connected)
        await node.clock.advance(GRACE_SECONDS + 1)
        await eventually_async(lambda: node.removed == [self.SELECTOR])

    async def test_one_that_comes_back_keeps_its_slices(self, node: Node) -> None:
        driver = await node.driver()
        driver.die()
        await eventually_async(lambda: not node.drivers.get(DRIVER).connected)
        driver.serve()
        await node.clock.advance(1)
        await eventually_async(lambda: node.drivers.get(DRIVER).connected)
        await node.clock.advance(2 * GRACE_SECONDS)
        assert node.removed == []

    async def test_an_update_has_two_instances_for_a_while(self, node: Node) -> None:
        old = await node.driver()
        new = DraDriver(DRIVER, node.root / "new", node.root / "cdi", lambda namespace, name: {})
        new.socket.parent.mkdir()
        new.serve()
        node.servers.append(new)
        await node.register(new)
        with pytest.raises(PluginRefused, match="already registered"):
            await node.register(new)
        await eventually_async(lambda: node.drivers.get(DRIVER).client.socket_path == str(new.socket))
        await node.drivers.deregister(DRIVER, str(old.socket))
        await node.clock.advance(2 * GRACE_SECONDS)
        assert node.removed == []
        new.die()
        await eventually_async(lambda: not node.drivers.get(DRIVER).connected)
