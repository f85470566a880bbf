"""The file of `--config`: which plugins run, with which weights and arguments."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from componentbase.configfile import ConfigFileError
from scheduler import configuration
from scheduler.configuration import API_VERSION, KIND, load_profile, parse_profile
from scheduler.framework import collect_plugins
from tests.kits.control_plane.scheduler import World, node, pod


def document(**profile: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND, "profiles": [profile]}


def weights(**plugins: Any) -> dict[str, int]:
    return {spec.name: spec.weight for spec in parse_profile(document(plugins=plugins)).specs}


DEFAULT = {spec.name: spec.weight for spec in collect_plugins()}


def test_without_a_file_or_profile_the_defaults_run() -> None:
    for profile in (load_profile(""), parse_profile({"apiVersion": API_VERSION, "kind": KIND})):
        assert profile.name == "default-scheduler"
        assert {spec.name: spec.weight for spec in profile.specs} == DEFAULT


def test_a_profile_names_its_pods(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"apiVersion: {API_VERSION}\nkind: {KIND}\nprofiles:\n- schedulerName: second\n")
    assert load_profile(str(file)).name == "second"


def test_plugins_are_taken_away_and_weighted() -> None:
    assert "ImageLocality" not in weights(multiPoint={"disabled": [{"name": "ImageLocality"}]})
    few = [{"name": "PrioritySort"}, {"name": "DefaultBinder"}, {"name": "NodeAffinity", "weight": 7}]
    only = {"disabled": [{"name": "*"}], "enabled": few}
    assert weights(multiPoint=only) == {"PrioritySort": 0, "DefaultBinder": 0, "NodeAffinity": 7}
    scores = {"disabled": [{"name": "*"}], "enabled": [{"name": "TaintToleration", "weight": 5}]}
    counted = {name: weight for name, weight in weights(score=scores).items() if weight}
    assert counted == {"TaintToleration": 5}


def test_a_score_of_weight_0_is_not_asked_for() -> None:
    specs = parse_profile(document(plugins={"score": {"disabled": [{"name": "*"}]}})).specs
    assert World(node(), specs=specs).framework.score == []


def fit(strategy: dict[str, Any]) -> World:
    config = [{"name": "NodeResourcesFit", "args": {"scoringStrategy": strategy}}]
    return World(node("n1", cpu="4", memory="8Gi"), specs=parse_profile(document(pluginConfig=config)).specs)


@pytest.mark.parametrize(
    ("strategy", "score"),
    [
        ({}, 50),
        ({"type": "MostAllocated"}, 50),
        ({"resources": [{"name": "cpu"}]}, 75),
        ({"type": "MostAllocated", "resources": [{"name": "cpu"}]}, 25),
        ({"type": "MostAllocated", "resources": [{"name": "cpu", "weight": 3}, {"name": "memory"}]}, 37),
    ],
)
def test_nodes_are_compared_by_the_scoring_strategy(strategy: dict[str, Any], score: int) -> None:
    assert fit(strategy).scores("NodeResourcesFit", pod(cpu="1", memory="6Gi")) == {"n1": score}


@pytest.mark.parametrize(
    ("strategy", "field"),
    [
        ({"type": "Best"}, "scoringStrategy.type"),
        ({"resources": [{"name": "disk"}]}, "scoringStrategy.resources"),
        ({"resources": [{"name": "cpu", "weight": 101}]}, "scoringStrategy.resources"),
    ],
)
def test_a_strategy_that_is_unknown_is_an_error(strategy: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        fit(strategy)


PLUGINS = "profiles[0].plugins"


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        ({"name": "x"}, 'unknown field "profiles[0].name"'),
        ({"plugins": {"filter": {}}}, f'unknown field "{PLUGINS}.filter"'),
        (
            {"plugins": {"multiPoint": {"enabled": [{"name": "No"}]}}},
            f'{PLUGINS}.multiPoint.enabled[0].name: Not found: "No"',
        ),
        ({"plugins": {"multiPoint": {"enabled": [{"name": "NodeName"}] * 2}}}, "enabled[1].name: Duplicate value"),
        (
            {"plugins": {"score": {"enabled": [{"name": "NodeAffinity", "weight": -1}]}}},
            "enabled[0].weight: Invalid value",
        ),
        ({"plugins": {"score": {"enabled": [{"name": "No"}]}}}, f"{PLUGINS}.score.enabled[0].name: Invalid value"),
        ({"pluginConfig": [{"name": "No"}]}, 'profiles[0].pluginConfig[0].name: Not found: "No"'),
        ({"pluginConfig": [{"name": "NodeName"}]}, "this plugin takes no arguments"),
        ({"pluginConfig": [{"name": "NodeResourcesFit"}] * 2}, "pluginConfig[1].name: Duplicate value"),
        (
            {"pluginConfig": [{"name": "NodeResourcesFit", "args": {"a": 1}}]},
            'pluginConfig[0].args: NodeResourcesFitArgs: unknown field "a"',
        ),
        (
            {"pluginConfig": [{"name": "NodeResourcesFit", "args": {"kind": "Other"}}]},
            "pluginConfig[0].args: no kind 'Other'",
        ),
    ],
)
def test_a_wrong_field_is_named(profile: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        parse_profile(document(**profile))
    assert why in str(raised.value)


def test_a_second_profile_is_refused() -> None:
    two = {"apiVersion": API_VERSION, "kind": KIND, "profiles": [{}, {"schedulerName": "b"}]}
    with pytest.raises(ConfigFileError, match="profiles: Invalid value"):
        parse_profile(two)


@pytest.mark.parametrize(("constant", "works"), [("FOREIGN", True), ("DEFAULT", False)])
def test_a_plugin_of_another_package_runs_once_it_is_enabled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, constant: str, works: bool
) -> None:
    folder = tmp_path / "foreign-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(f"[{configuration.ENTRY_POINTS}]\nForeign = foreign_plugin:{constant}\n")
    (tmp_path / "foreign_plugin.py").write_text(
        "from scheduler.framework import Plugin, PluginSpec\nFOREIGN = PluginSpec('Foreign', Plugin)\nDEFAULT = 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert "Foreign" not in weights()
    enabled = {"enabled": [{"name": "Foreign"}]}
    if works:
        assert "Foreign" in weights(multiPoint=enabled)
    else:
        with pytest.raises(ConfigFileError, match="must be the PluginSpec of Foreign"):
            weights(multiPoint=enabled)
