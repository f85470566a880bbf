"""The command line as a whole: which verbs there are, in which groups, and the flags that all of them have."""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec

from kubectl import commands
from kubectl.invocation.command import Command, CommandGroup
from kubectl.invocation.flags import add_connection_flags
from kubectl.invocation.parser import Parser


def build_parser(verbs: Iterable[Command]) -> Parser:
    """The parser of these verbs; the flags that all have may stand before or after the verb."""
    parser = _top_parser()
    parser.overview = overview
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=Parser)
    for command in sorted(verbs, key=lambda command: command.name):
        sub = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help + ".",
            epilog=f"Examples:\n{command.examples}" if command.examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.failure_code = command.failure_code
        command.configure(sub)
        _add_connection_flags(sub)
        sub.set_defaults(command=command)
    return parser


def _add_connection_flags(parser: Parser) -> None:
    """Adds them to the verb and to its sub-verbs: `rollout status deployment/web -n shop`."""
    add_connection_flags(parser)
    for sub in dict.fromkeys((parser.verbs or {}).values()):
        _add_connection_flags(sub)


def _top_parser() -> Parser:
    parser = Parser(prog="mini-kubectl")
    add_connection_flags(parser)
    return parser


def load_commands(words: Sequence[str]) -> list[Command]:
    """The verb that `words` name, or all verbs where they name none: to import them all takes longer than most run."""
    verb = _top_parser().first_word(words).replace("-", "_")
    if verb.isidentifier() and not verb.startswith("_"):
        for group in _groups():
            if find_spec(f"{group}.{verb}") is not None:
                return [import_module(f"{group}.{verb}").COMMAND]
    return [command for group in _groups() for command in _verbs(group)]


def verb_names() -> list[str]:
    """The names of all verbs, by their files alone."""
    names = [info.name for group in _groups() for info in pkgutil.iter_modules(import_module(group).__path__)]
    return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))


def _groups() -> list[str]:
    """The packages of verbs."""
    return [f"{commands.__name__}.{info.name}" for info in pkgutil.iter_modules(commands.__path__)]


def _heading(group: str) -> CommandGroup:
    heading: CommandGroup = import_module(group).GROUP
    return heading


def _verbs(group: str) -> list[Command]:
    from apimachinery.catalogue import collect  # here: pydantic takes 80 ms, and one verb is found without it

    return list(collect(group, "COMMAND", Command).values())


def overview() -> str:
    """The first page of help: all verbs, in the groups whose folders they are in."""
    parts = ["mini-kubectl controls a Kubernetes cluster.\n"]
    for group in sorted(_groups(), key=lambda group: _heading(group).position):
        lines = [f"  {command.name:<15} {command.help}\n" for command in _verbs(group)]
        parts.append(f"{_heading(group).title}:\n{''.join(lines)}")
    parts.append(
        "Usage:\n  mini-kubectl [flags] VERB [words] [flags]\n\n"
        "`mini-kubectl VERB --help` shows a verb's flags, with examples; "
        "`mini-kubectl options` shows those that all verbs have.\n"
    )
    return "\n".join(parts)
