"""Help teaches: every verb is in the overview and shows examples. A verb is one file."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import kubectl.commands
import kubectl.commands.other
from kubectl.cli.commandline import build_parser, load_commands, overview, verb_names
from kubectl.cli.completing import complete
from kubectl.cli.main import main
from kubectl.invocation.command import Command

COMMANDS = load_commands([])
GREET = """
from kubectl.invocation.command import Candidates, Command

COMMAND = Command(
    "greet",
    "Greet somebody",
    lambda parser: parser.add_argument("name"),
    lambda context, args: context.print(f"hello {args.name}"),
    completes=lambda cursor: Candidates(["monde", "world"]),
)
"""


def test_every_verb_is_in_one_group() -> None:
    lines = overview().splitlines()
    verbs = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("  mini-kubectl")]
    assert sorted(verbs) == sorted(command.name for command in COMMANDS)


def test_a_verb_is_found_by_the_name_of_its_file() -> None:
    assert verb_names() == sorted(command.name for command in COMMANDS)


def test_one_file_adds_a_verb_with_its_help_and_completion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "greet.py").write_text(GREET)
    folder = kubectl.commands.other
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    assert "Other Commands:\n" in overview()
    assert "  greet           Greet somebody\n" in overview().partition("Other Commands:\n")[2]
    assert complete(["gr"]) == "greet\n:4\n"
    assert complete(["greet", "w"]) == "world\n:4\n"
    handler = signal.getsignal(signal.SIGPIPE)
    main(["greet", "world"])
    assert signal.getsignal(signal.SIGPIPE) == handler  # that is the program's affair
    assert capsys.readouterr().out == "hello world\n"


def test_one_folder_adds_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tmp_path / "games"
    group.mkdir()
    heading = 'from kubectl.invocation.command import CommandGroup\nGROUP = CommandGroup("Games", 0)\n'
    (group / "__init__.py").write_text(heading)
    (group / "greet.py").write_text(GREET)
    monkeypatch.setattr(kubectl.commands, "__path__", [*kubectl.commands.__path__, str(tmp_path)])
    assert "Games:\n  greet           Greet somebody\n\nBasic Commands:\n" in overview()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_verbs_help_shows_how_to_use_it(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"mini-kubectl {command.name}" in command.examples
    with pytest.raises(SystemExit) as ended:
        build_parser([command]).parse_args([command.name, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "Examples:\n" in text
    assert f"Usage:\n  mini-kubectl {command.name} " in text
    assert "--kubeconfig" not in text  # every verb has it: `options` says so once
