"""Help teaches: every verb is in the overview and shows examples."""

from __future__ import annotations

import pytest

from kubectl.cli.command import Command
from kubectl.cli.main import build_parser, load_commands
from kubectl.cli.overview import GROUPS, overview

COMMANDS = load_commands([])


def test_every_verb_is_in_one_group() -> None:
    lines = overview(COMMANDS.values()).splitlines()
    verbs = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("  mini-kubectl")]
    assert sorted(verbs) == sorted(command.name for command in COMMANDS.values())


def test_groups_name_verbs_that_there_are() -> None:
    known = {command.name for command in COMMANDS.values()}
    assert {name for names in GROUPS.values() for name in names} <= known


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_a_verbs_help_shows_how_to_use_it(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"mini-kubectl {command.name}" in command.examples
    with pytest.raises(SystemExit) as ended:
        build_parser({command.name: command}).parse_args([command.name, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "Examples:\n" in text
    assert f"Usage:\n  mini-kubectl {command.name} " in text
    assert "--kubeconfig" not in text  # every verb has it: `options` says so once
