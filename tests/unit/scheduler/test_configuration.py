"""The file of `--config`: profiles, which plugins run where, and what is said of a field that is wrong."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from componentbase.configfile import ConfigFileError
from scheduler.configuration.load import Configuration, Profile, load_configuration, parse_configuration
from scheduler.configuration.model import API_VERSION, KIND
from scheduler.configuration.plugins import ENTRY_POINTS
from scheduler.framework import POINTS, Plugin, collect_plugins
from scheduler.options import parse
from tests.kits.control_plane.scheduler import World, node

DEFAULT = {spec.name: spec.weight for spec in collect_plugins()}
NAMES = ["TaintToleration", "NodePorts", "NodeAffinity", "NodeUnschedulable", "NodeName"]
OFF = {"disabled": [{"name": "*"}]}


def document(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND} | fields


def configured(**fields: Any) -> Configuration:
    return parse_configuration(document(**fields))


def profile(**fields: Any) -> Profile:
    (only,) = configured(profiles=[fields]).profiles
    return only


def weights(**plugins: Any) -> dict[str, int]:
    return {spec.name: spec.weight for spec in profile(plugins=plugins).specs}


def enabled(*names: str) -> dict[str, Any]:
    return {"enabled": [{"name": name} for name in names]}


def refusal(**fields: Any) -> str:
    with pytest.raises(ConfigFileError) as raised:
        configured(**fields)
    return str(raised.value)


def test_without_a_file_or_profile_the_defaults_run() -> None:
    for configuration in (load_configuration(""), configured(), configured(profiles=[{}])):
        (only,) = configuration.profiles
        assert only.name == "default-scheduler"
        assert {spec.name: spec.weight for spec in only.specs} == DEFAULT
        assert (configuration.first_backoff_seconds, configuration.max_backoff_seconds) == (1, 10)
        assert configuration.flags == {}


def test_points_are_methods_of_plugins() -> None:
    assert all(callable(getattr(Plugin, method)) for method in POINTS.values())


# profiles


def test_profiles_stand_side_by_side() -> None:
    both = configured(profiles=[{"schedulerName": "a"}, {"schedulerName": "b", "plugins": {"score": OFF}}])
    assert [item.name for item in both.profiles] == ["a", "b"]
    assert [len(item.points["score"]) for item in both.profiles] == [len(DEFAULT), 0]


@pytest.mark.parametrize(
    ("profiles", "why"),
    [
        ([{}, {"schedulerName": "b"}], "profiles[0].schedulerName: Required value"),
        ([{"schedulerName": ""}], "profiles[0].schedulerName: Required value"),
        ([{"schedulerName": "b"}] * 2, 'profiles[1].schedulerName: Duplicate value: "b"'),
        ([{"percentageOfNodesToScore": 101}], "profiles[0].percentageOfNodesToScore: Invalid value: 101"),
    ],
)
def test_a_wrong_profile_is_named(profiles: list[dict[str, Any]], why: str) -> None:
    assert why in refusal(profiles=profiles)


def test_the_share_of_nodes_to_score_is_a_profiles_own_or_that_of_all() -> None:
    profiles = [{"schedulerName": "a"}, {"schedulerName": "b", "percentageOfNodesToScore": 70}]
    made = configured(percentageOfNodesToScore=20, profiles=profiles)
    assert [item.percentage for item in made.profiles] == [20, 70]


# the scheduler as a whole


def test_the_backoff_is_configured() -> None:
    made = configured(podInitialBackoffSeconds=3, podMaxBackoffSeconds=60, parallelism=16)
    assert (made.first_backoff_seconds, made.max_backoff_seconds) == (3, 60)


@pytest.mark.parametrize(
    ("connection", "limit"),
    [({}, (0, 100)), ({"qps": 5.5}, (5.5, 100)), ({"qps": 50, "burst": 70}, (50, 70)), ({"qps": -1}, (0, 100))],
)
def test_requests_may_be_limited(connection: dict[str, Any], limit: tuple[float, int]) -> None:
    made = configured(clientConnection=connection)
    assert (made.requests_per_second, made.burst) == limit


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"podInitialBackoffSeconds": 0}, "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
        ({"podMaxBackoffSeconds": 0}, "podMaxBackoffSeconds: Invalid value: 0"),
        ({"parallelism": 0}, "parallelism: Invalid value: 0: must be greater than 0"),
        ({"percentageOfNodesToScore": -1}, "percentageOfNodesToScore: Invalid value: -1: not in valid range [0-100]"),
        ({"leaderElection": {"leaseDuration": "15"}}, "leaderElection.leaseDuration: Invalid value"),
        ({"leaderElection": {"resourceLock": "endpoints"}}, "leaderElection.resourceLock: Unsupported value"),
        ({"clientConnection": {"burst": -1}}, "clientConnection.burst: Invalid value: -1: must be non-negative"),
        ({"leaderElection": {"name": "a"}}, 'unknown field "leaderElection.name"'),
        ({"profiles": [{"name": "x"}]}, 'unknown field "profiles[0].name"'),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], why: str) -> None:
    assert why in refusal(**fields)


def test_flags_win_over_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    election = {"resourceName": "packing", "leaseDuration": "30s", "renewDeadline": "20s", "leaderElect": False}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(document(leaderElection=election, clientConnection={"kubeconfig": "/file"})))
    options = parse([f"--config={file}"])
    assert (options.election.enabled, options.election.lease) == (False, "kube-system/packing")
    assert (options.election.timing.lease_duration, options.election.timing.retry_period) == (30, 2)
    assert options.kubeconfig == "/file"
    options = parse([f"--config={file}", "--leader-elect-resource-name=own", "--kubeconfig=/flag", "--leader-elect"])
    assert (options.election.enabled, options.election.lease) == (True, "kube-system/own")
    assert options.kubeconfig == "/flag"
    file.write_text(json.dumps(document(profile=[])))
    with pytest.raises(SystemExit):
        parse([f"--config={file}"])
    assert 'unknown field "profile"' in capsys.readouterr().err


# which plugins run


def test_plugins_are_taken_away_and_weighted() -> None:
    assert "ImageLocality" not in weights(multiPoint={"disabled": [{"name": "ImageLocality"}]})
    few = [{"name": "PrioritySort"}, {"name": "DefaultBinder"}, {"name": "NodeAffinity", "weight": 7}]
    only = OFF | {"enabled": few}
    assert weights(multiPoint=only) == {"PrioritySort": 0, "DefaultBinder": 0, "NodeAffinity": 7}
    scores = OFF | {"enabled": [{"name": "TaintToleration", "weight": 5}, {"name": "NodeAffinity"}]}
    made = profile(plugins={"score": scores})
    counted = {spec.name: spec.weight for spec in made.specs if spec.name in made.points["score"]}
    assert counted == {"TaintToleration": 5, "NodeAffinity": DEFAULT["NodeAffinity"]}


@pytest.mark.parametrize(
    ("plugins", "first", "last"),
    [
        ({"filter": enabled("NodePorts", "TaintToleration")}, ["NodePorts", "TaintToleration"], ""),
        ({"filter": OFF | enabled("NodePorts", "NodeName")}, ["NodePorts", "NodeName"], "NodeName"),
        ({"multiPoint": OFF | enabled("NodeName"), "filter": enabled("NodePorts")}, ["NodeName"], "NodePorts"),
        ({"multiPoint": OFF, "filter": enabled(*NAMES)}, NAMES, NAMES[-1]),
    ],
)
def test_the_plugins_of_a_point_run_in_the_order_of_its_set(
    plugins: dict[str, Any], first: list[str], last: str
) -> None:
    made = profile(plugins=plugins).points["filter"]
    filters = [name for name in made if name not in ("PrioritySort", "SchedulingGates")]
    assert filters[: len(first)] == first
    assert not last or filters[-1] == last


def run(**plugins: Any) -> World:
    made = profile(plugins=plugins)
    return World(node(), specs=list(made.specs), points=made.points)


def names(plugins: Sequence[Plugin]) -> set[str]:
    return {plugin.name for plugin in plugins}


def test_a_plugin_runs_only_at_the_points_that_are_left_to_it() -> None:
    everywhere, made = run().framework, run(filter=OFF, score=OFF, permit=OFF, reserve=OFF, preBind=OFF).framework
    assert made.score == made.reserve == made.unreserve == made.pre_bind == made.slow == []
    assert not any(plugin.filters for plugin in made.filter)
    assert everywhere.unreserve
    assert everywhere.slow
    only = run(multiPoint=OFF | enabled("PrioritySort", "DefaultBinder"), preFilter=enabled("NodeAffinity")).framework
    assert names(only.filter) == {"NodeAffinity"}
    assert (only.score, only.pre_filter) == ([], frozenset(("NodeAffinity",)))
    without = run(preFilter={"disabled": [{"name": "NodeAffinity"}]}).framework
    assert "NodeAffinity" in names(without.filter) - without.pre_filter


def test_a_pod_needs_a_queue_and_a_binder() -> None:
    for point in ("queueSort", "bind"):
        with pytest.raises(ValueError, match="plugin"):
            run(**{point: OFF})


PLUGINS = "profiles[0].plugins"


@pytest.mark.parametrize(
    ("plugins", "why"),
    [
        ({"normalize": {}}, f'unknown field "{PLUGINS}.normalize"'),
        ({"multiPoint": enabled("No")}, f'{PLUGINS}.multiPoint.enabled[0].name: Not found: "No"'),
        ({"bind": enabled("No")}, f'{PLUGINS}.bind.enabled[0].name: Not found: "No"'),
        ({"multiPoint": enabled("NodeName", "NodeName")}, "enabled[1].name: Duplicate value"),
        (
            {"score": {"enabled": [{"name": "NodeAffinity", "weight": -1}]}},
            "enabled[0].weight: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            {"score": enabled("NodeName")},
            f'{PLUGINS}.score.enabled[0].name: Invalid value: "NodeName": has nothing to do at this extension point',
        ),
    ],
)
def test_a_wrong_plugin_is_named(plugins: dict[str, Any], why: str) -> None:
    assert why in refusal(profiles=[{"plugins": plugins}])


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ([{"name": "No"}], 'profiles[0].pluginConfig[0].name: Not found: "No"'),
        ([{"name": "NodeName"}], "this plugin takes no arguments"),
        ([{"name": "NodeResourcesFit"}] * 2, "pluginConfig[1].name: Duplicate value"),
        (
            [{"name": "NodeResourcesFit", "args": {"a": 1}}],
            'pluginConfig[0].args: NodeResourcesFitArgs: unknown field "a"',
        ),
        ([{"name": "NodeResourcesFit", "args": {"kind": "Other"}}], "pluginConfig[0].args: no kind 'Other'"),
    ],
)
def test_wrong_arguments_are_named(config: list[dict[str, Any]], why: str) -> None:
    assert why in refusal(profiles=[{"pluginConfig": config}])


@pytest.mark.parametrize(("constant", "works"), [("FOREIGN", True), ("DEFAULT", False)])
def test_a_plugin_of_another_package_runs_once_it_is_enabled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, constant: str, works: bool
) -> None:
    folder = tmp_path / "foreign-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nForeign = foreign_plugin:{constant}\n")
    (tmp_path / "foreign_plugin.py").write_text(
        "from scheduler.framework import Plugin, PluginSpec\nFOREIGN = PluginSpec('Foreign', Plugin)\nDEFAULT = 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert "Foreign" not in weights()
    if works:
        assert "Foreign" in weights(multiPoint=enabled("Foreign"))
    else:
        with pytest.raises(ConfigFileError, match="must be the PluginSpec of Foreign"):
            weights(multiPoint=enabled("Foreign"))


URL = {"urlPrefix": "http://localhost:80/a"}


@pytest.mark.parametrize(
    ("extenders", "why"),
    [
        ([{}], "extenders[0].urlPrefix: Required value"),
        ([{"urlPrefix": "localhost"}], "extenders[0].urlPrefix: Required value"),
        ([URL | {"prioritizeVerb": "p"}], "extenders[0].weight: Invalid value: 0: must have a positive weight"),
        ([URL | {"bindVerb": "b"}] * 2, 'extenders[1].bindVerb: Invalid value: "b": only one extender'),
        ([URL | {"httpTimeout": "5"}], 'extenders[0].httpTimeout: Invalid value: "5"'),
        ([URL | {"managedResources": [{"name": "cpu"}]}], "extenders[0].managedResources[0].name: Invalid value"),
        ([URL | {"managedResources": [{"name": "a/b"}] * 2}], "extenders[0].managedResources[1].name: Duplicate"),
        ([URL | {"scoreVerb": "p"}], 'unknown field "extenders[0].scoreVerb"'),
    ],
)
def test_a_wrong_extender_is_named(extenders: list[dict[str, Any]], why: str) -> None:
    assert why in refusal(extenders=extenders)


def test_extenders_bind_first_filter_last_and_see_to_their_resources() -> None:
    managed = [{"name": "example.com/gpu", "ignoredByScheduler": True}, {"name": "example.com/fpga"}]
    config = [{"name": "NodeResourcesFit", "args": {"ignoredResources": ["example.com/own"]}}]
    profiles = [{"pluginConfig": config}]
    (made,) = configured(extenders=[URL | {"managedResources": managed}], profiles=profiles).profiles
    assert made.points["bind"][0] == made.points["filter"][-1] == "Extenders"
    args = {spec.name: spec.args for spec in made.specs}["NodeResourcesFit"]
    assert getattr(args, "ignoredResources", None) == ["example.com/gpu", "example.com/own"]
