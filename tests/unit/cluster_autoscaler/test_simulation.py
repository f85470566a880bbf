"""The autoscaler plays the scheduler that the cluster has, by its configuration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cluster_autoscaler.options import parse
from cluster_autoscaler.simulation import Simulation
from scheduler.configuration.load import DEFAULT_NAME, Configuration, Profile, parse_configuration
from scheduler.configuration.model import API_VERSION, KIND
from scheduler.framework import Cycle, Handle, Plugin, PluginSpec, collect_plugins
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, Rows
from tests.kits.control_plane.autoscaler import node, pod, rules
from tests.kits.tasks import background


def document(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND} | fields


PROFILES = document(
    profiles=[
        {"schedulerName": "default-scheduler"},
        {"schedulerName": "bold", "plugins": {"filter": {"disabled": [{"name": "TaintToleration"}]}}},
        {
            "schedulerName": "packing",
            "pluginConfig": [{"name": "NodeResourcesFit", "args": {"scoringStrategy": {"type": "MostAllocated"}}}],
            "plugins": {"score": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit"}]}},
        },
    ]
)


def test_each_pod_is_placed_by_the_profile_of_its_scheduler() -> None:
    tainted = node("n1", taints=[{"key": "a", "effect": "NoSchedule"}])
    simulation = Simulation(rules(parse_configuration(PROFILES)), [tainted])
    assert simulation.place(pod("by default")) == ""
    assert simulation.place(pod("foreign", schedulerName="mine")) == ""
    assert simulation.place(pod("bold", "3", schedulerName="bold")) == "n1"
    assert simulation.reasons(pod("late", "3", schedulerName="bold")) == ["Insufficient cpu"]


def test_profiles_share_the_nodes_and_score_each_in_its_way() -> None:
    nodes = [node(name) for name in ("n1", "n2")]
    simulation = Simulation(rules(parse_configuration(PROFILES)), nodes, [pod("there", on="n2")])
    assert simulation.place(pod("spread")) == "n1"
    assert simulation.place(pod("more", "1500m", schedulerName="packing")) in ("n1", "n2")
    fuller = max(("n1", "n2"), key=simulation.utilization)
    assert simulation.place(pod("packed", "100m", schedulerName="packing")) == fuller


def test_extenders_are_not_asked_but_see_to_their_resources() -> None:
    managed = [{"name": "example.com/gpu", "ignoredByScheduler": True}]
    extender = {"urlPrefix": "http://localhost:1/a", "filterVerb": "f", "bindVerb": "b", "managedResources": managed}
    containers = [{"name": "app", "image": "app:1", "resources": {"requests": {"example.com/gpu": "1"}}}]
    item = pod("gpu", containers=containers)
    assert Simulation(rules(), [node()]).place(item) == ""
    assert Simulation(rules(parse_configuration(document(extenders=[extender]))), [node()]).place(item) == "n1"


class Learned(Plugin):
    """Lets pods on nodes that it was told of."""

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        self.known: set[str] = set()

    async def prepare(self) -> None:
        self.known = set(self.table.rows)

    async def run(self) -> None:
        self.known = {"told later"}
        await asyncio.Future()

    def learn_from(self, other: Learned) -> None:
        self.known = other.known

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        names = self.table.names
        return np.array([names[row] in self.known for row in np.arange(len(names))[rows]], np.bool_)

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) were unknown": len(rows)}


async def test_simulations_take_over_what_a_plugin_has_learned() -> None:
    specs = [*collect_plugins(), PluginSpec("Learned", Learned)]
    learned = rules(Configuration([Profile(DEFAULT_NAME, specs)]))
    learned.node_changed(None, node("n1"))
    assert Simulation(learned, [node("n1")]).place(pod()) == ""
    await learned.prepare()
    assert Simulation(learned, [node("n1"), node("planned")]).place(pod()) == "n1"
    async with background() as tasks:
        tasks.create_task(learned.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert Simulation(learned, [node("n1"), node("told later")]).place(pod()) == "told later"


def test_plugins_that_cannot_work_are_refused_at_once() -> None:
    none = {"queueSort": {"disabled": [{"name": "*"}]}}
    with pytest.raises(ValueError, match="exactly one plugin must sort the queue"):
        rules(parse_configuration(document(profiles=[{"plugins": none}])))


def test_the_command_line_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory = tmp_path / "inventory.json"
    cloud = {"cluster": "c", "region": "r", "zone": "z", "hosts": [], "balancers": [], "groups": []}
    inventory.write_text(json.dumps(cloud | {"command": ["true"]}))
    flags = ["--kubeconfig=/k", "--cloud-provider=local", f"--cloud-config={inventory}"]
    file = tmp_path / "kube-scheduler.yaml"
    file.write_text(yaml.safe_dump(PROFILES))
    options = parse([*flags, f"--scheduler-config-file={file}"])
    assert [profile.name for profile in options.scheduler_config.profiles] == ["default-scheduler", "bold", "packing"]
    assert [profile.name for profile in parse(flags).scheduler_config.profiles] == ["default-scheduler"]
    file.write_text("kind: Pod")
    with pytest.raises(SystemExit):
        parse([*flags, f"--scheduler-config-file={file}"])
    assert "--scheduler-config-file: " in capsys.readouterr().err
