"""Endpoints that someone keeps by hand, shown as EndpointSlices."""

from __future__ import annotations

from typing import Any

import pytest

from controller_manager.controllers.network._mirroring import MIRROR, MOST_ADDRESSES
from controller_manager.controllers.network.endpointslicemirroring import CONTROLLER
from kubeapi.core.endpoints import Endpoints
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from tests.fakes.api import FakeApi, Running, settle

HTTP = {"name": "http", "port": 80}


class World:
    """A Service without a selector, and Endpoints of its name."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.controller = Running(self.api, CONTROLLER)
        self.service()

    def service(self, **spec: Any) -> None:
        self.api.put(Service.model_validate({"metadata": {"name": "db", "namespace": "n"}, "spec": spec}))

    def endpoints(self, *subsets: Any, **metadata: Any) -> None:
        body = {"metadata": {"name": "db", "namespace": "n", "uid": "e", **metadata}, "subsets": list(subsets)}
        self.api.put(Endpoints.model_validate(body))

    async def slices(self) -> list[EndpointSlice]:
        await settle(self.api, self.controller)
        return sorted(self.api.all(EndpointSlice), key=lambda each: (each.addressType, str(each.ports)))


def subset(*addresses: str, unready: tuple[str, ...] = (), port: Any = HTTP) -> dict[str, Any]:
    listed = {"addresses": addresses, "notReadyAddresses": unready}
    return {name: [{"ip": ip} for ip in ips] for name, ips in listed.items()} | {"ports": [port]}


async def test_ready_and_unready_addresses_are_shown_with_labels_and_annotations() -> None:
    world = World()
    world.endpoints(subset("10.0.0.1", unready=("10.0.0.2",)), labels={"a": "b"}, annotations={"c": "d"})
    (mirror,) = await world.slices()
    assert [(each.addresses, each.conditions.ready) for each in mirror.endpoints] == [  # type: ignore[union-attr]
        (["10.0.0.1"], True),
        (["10.0.0.2"], False),
    ]
    assert mirror.labels == {
        "a": "b",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": MIRROR,
    }
    assert mirror.annotations == {"c": "d"}
    assert [ref.kind for ref in mirror.metadata.ownerReferences or ()] == ["Endpoints"]


async def test_each_family_and_each_set_of_ports_has_a_slice() -> None:
    world = World()
    world.endpoints(subset("10.0.0.1", "fd00::1"), subset("10.0.0.1", port={"port": 81}))
    assert [each.addressType for each in await world.slices()] == ["IPv4", "IPv4", "IPv6"]


async def test_a_change_changes_the_slice_in_place() -> None:
    world = World()
    world.endpoints(subset("10.0.0.1"))
    (before,) = await world.slices()
    world.endpoints(subset("10.0.0.3"))
    (after,) = await world.slices()
    assert after.metadata.uid == before.metadata.uid
    assert after.endpoints[0].addresses == ["10.0.0.3"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
async def test_some_endpoints_are_not_about_a_service(metadata: dict[str, Any]) -> None:
    world = World()
    world.endpoints(subset("10.0.0.1"))
    assert len(await world.slices()) == 1
    world.endpoints(subset("10.0.0.1"), **metadata)
    assert await world.slices() == []


async def test_a_service_that_gets_a_selector_needs_no_mirror() -> None:
    world = World()
    world.endpoints(subset("10.0.0.1"))
    assert len(await world.slices()) == 1
    world.service(selector={"app": "db"})
    assert await world.slices() == []


async def test_a_subset_that_is_too_large_is_cut_and_told() -> None:
    world = World()
    world.endpoints(subset(*(f"10.0.{number // 250}.{number % 250}" for number in range(MOST_ADDRESSES + 1))))
    (mirror,) = await world.slices()
    assert len(mirror.endpoints) == MOST_ADDRESSES
    assert "1 addresses were skipped" in world.controller.recorder.events[0]
