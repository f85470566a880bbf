"""Several profiles in one scheduler: plugins of their own over a cache and a queue for all."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler.configuration.load import Profile
from scheduler.events import NODE, Change
from scheduler.framework import Cycle, Plugin, PluginSpec, collect_plugins
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, Rows
from scheduler.views.pod import Pod
from tests.kits.control_plane.scheduler import node, pod
from tests.kits.control_plane.schedulerbench import NO_VICTIMS, Bench, Started


async def test_each_pod_is_scheduled_by_the_profile_of_its_name(started: Started) -> None:
    """The second profile has a filter of its own, and both see each other's pods."""

    class Never(Plugin):
        def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
            return np.zeros(len(self.table.valid[rows]), np.bool_)

        def reasons(self, cycle: Cycle, rows: IntArray) -> dict[str, int]:
            return {"node(s) never do": len(rows)}

    never = PluginSpec("Never", Never, requeue_on={NODE: Change.ADD})
    bench = started(profiles=[Profile("a", collect_plugins()), Profile("b", [*collect_plugins(), never])])
    bench.put(node("n1", pods="1"))
    bench.put(pod("other", schedulerName="c"))
    bench.put(pod("refused", schedulerName="b"))
    await bench.until(lambda: bench.recorder.events)
    assert bench.recorder.events[0][2].startswith("0/1 nodes are available: 1 node(s) never do. preemption: ")
    bench.put(pod("first", schedulerName="a"))
    await bench.until(lambda: bench.rest.bindings)
    assert bench.rest.bindings == [("default/first", "n1")]
    bench.put(pod("second", schedulerName="b"))
    await bench.until(lambda: len(bench.recorder.events) == 3)
    assert bench.recorder.events[2][2] == f"0/1 nodes are available: 1 Too many pods. {NO_VICTIMS}"
    assert len(bench.scheduler.queue) == 2


def test_profiles_must_sort_alike() -> None:
    class OtherSort(Plugin):
        def sort_key(self, pod: Pod) -> int:
            return 0

    others = [spec for spec in collect_plugins() if spec.name != "PrioritySort"]
    with pytest.raises(ValueError, match="share a queue"):
        Bench(profiles=[Profile("a", collect_plugins()), Profile("b", [*others, PluginSpec("Other", OtherSort)])])
