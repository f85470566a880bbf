"""A plugin declares what it reads of a pod: verdicts are shared by all pods that are alike in that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from apimachinery.model import decode, from_dict
from apimachinery.resource import resource_of
from kubeclient.wire import list_model
from scheduler.framework import Cycle, Plugin, PluginSpec, collect_plugins, pod_fields
from scheduler.state.shape import IntArray, Shapes, UndeclaredField
from scheduler.state.table import BoolArray, Rows
from scheduler.views.pod import RESOURCE, Pod, pod_view
from tests.kits.control_plane.scheduler import World, node

FIELD = "spec.hostNetwork"


class OnlyHostNetwork(Plugin):
    """Refuses pods with a network of their own."""

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        return np.full(len(self.table.valid[rows]), bool(cycle.shape.spec.hostNetwork))

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) have no network of the pod's own": len(rows)}


class OfPod(OnlyHostNetwork):
    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        return np.full(len(self.table.valid[rows]), bool(cycle.pod.spec.schedulerName))


def world(plugin: type[Plugin] = OnlyHostNetwork, reads_pod: tuple[str, ...] = ()) -> World:
    specs = [*collect_plugins(), PluginSpec("New", plugin, reads_pod=reads_pod)]
    return World(node("n1"), specs=specs, only=["New"])


def pod(**spec: Any) -> Pod:
    """A pod as the scheduler decodes it when somebody reads FIELD."""
    return from_dict(pod_view([FIELD]).model, {"metadata": {"name": "p", "namespace": "ns"}, "spec": spec})


def test_a_field_that_no_plugin_declares_cannot_be_read() -> None:
    with pytest.raises(UndeclaredField, match=r"spec\.hostNetwork .* declare it in the plugin's reads_pod"):
        world().choose(pod(hostNetwork=True))


def test_pods_that_differ_in_a_declared_field_do_not_get_each_others_answer() -> None:
    with_field = world(reads_pod=(FIELD,))
    assert [with_field.place(pod(hostNetwork=value)) for value in (True, False, True, None)] == ["n1", "", "n1", ""]


def test_a_local_plugin_cannot_read_one_pod_for_all_that_are_alike() -> None:
    with pytest.raises(UndeclaredField, match=r"cycle\.shape, not cycle\.pod"):
        world(OfPod).choose(pod())


def test_a_declared_field_is_decoded_as_the_api_has_it() -> None:
    declared = pod_view(["spec.hostNetwork", "spec.nodeSelector", "metadata.labels"])
    assert declared.model.model_fields["spec"].annotation.model_fields["hostNetwork"].annotation == (bool | None)
    assert declared.path("ns", "p") == RESOURCE.path("ns", "p")
    assert pod_view(["spec.nodeSelector"]) is RESOURCE


@pytest.mark.parametrize("field", ["spec.hostNet", "metadata.label", "spec", "status.phase", "spec.containers.image"])
def test_a_field_that_does_not_exist_is_an_error_at_start(field: str) -> None:
    with pytest.raises(ValueError, match="reads_pod"):
        pod_view([field])


def test_the_shape_of_a_pod_has_what_all_plugins_declare() -> None:
    fields = pod_fields(collect_plugins())
    assert {"spec.tolerations", "spec.nodeSelector", "spec.topologySpreadConstraints"} <= set(fields)
    shapes = Shapes(fields)
    one, other = pod(nodeSelector={"a": "1"}), pod(nodeSelector={"a": "2"})
    assert shapes.of(one) is not shapes.of(other)
    assert shapes.of(one) is shapes.of(one.clone())


def test_the_wider_view_of_a_pod_is_still_the_kind() -> None:
    view = pod_view([FIELD]).model
    assert resource_of(view) is RESOURCE
    body = b'{"items": [{"metadata": {"name": "p"}, "spec": {"hostNetwork": true, "containers": [{"image": "i"}]}}]}'
    (item,) = decode(list_model(view), body).items
    assert isinstance(item, Pod)
    assert (item.spec.model_dump()["hostNetwork"], item.spec.containers[0].image) == (True, "i")
