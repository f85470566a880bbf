"""The file with the configurations of admission plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

from apiserver.admission._configuration import read_plugin_configurations
from apiserver.admission._plugin import enabled_plugins
from componentbase.configfile import ConfigFileError

HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n"


def test_a_configuration_stands_in_place_or_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("kind: B\n")
    file = tmp_path / "all.yaml"
    file.write_text(f"{HEAD}- name: A\n  configuration: {{kind: A}}\n- {{name: B, path: own.yaml}}\n- name: C\n")
    assert read_plugin_configurations(str(file)) == {"A": {"kind": "A"}, "B": {"kind": "B"}}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "line 1"),
        ("kind: AdmissionConfiguration\n", "no kind 'AdmissionConfiguration' of None"),
        (f"{HEAD}- name: A\n- name: A\n", 'plugins[1].name: Duplicate value: "A"'),
        (f"{HEAD}- path: x\n", "plugins[0].name: Required value"),
        (f"{HEAD}- {{name: A, path: nowhere.yaml}}\n", "plugins[0].path: "),
        (f"{HEAD}- {{name: A, file: x}}\n", 'unknown field "plugins[0].file"'),
        ("kind: a\nkind: b\n", "already set"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(text)
    with pytest.raises(ConfigFileError) as raised:
        read_plugin_configurations(str(file))
    assert why in str(raised.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError):
        read_plugin_configurations(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("name", "why"), [("Nope", "no such"), ("Priority", "nothing to configure"), ("PodSecurity", "not an object")]
)
def test_a_configuration_needs_a_plugin_that_takes_it(name: str, why: str) -> None:
    with pytest.raises(ConfigFileError, match=f"{name}: .*{why}"):
        enabled_plugins([], [], {name: None})
