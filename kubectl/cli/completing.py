"""Finds what may come next on a command line, for the shells' completion: verbs, flags, types, names.

The scripts of `completion` ask `mini-kubectl __complete WORD…`, whose last word is the one being typed. Each line of
the answer is a candidate, and the last is ":" and a number: what the shell does with them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from apimachinery.errors import StatusError
from kubeclient.access.config import ConfigError
from kubectl.api.client import Dict, Unreachable
from kubectl.api.discovery import UnknownType
from kubectl.cli.commandline import build_parser, load_commands, verb_names
from kubectl.cli.configuration import make_context
from kubectl.input import candidates
from kubectl.invocation.command import Candidates, CommandContext, Cursor, UsageError
from kubectl.invocation.parser import Parser, is_switch

REQUEST_SECONDS = 2.0  # a user waits for the Tab key
FORMATS = ("json", "yaml", "name", "wide", "jsonpath=", "custom-columns=")


def complete(words: Sequence[str]) -> str:
    """The answer to a shell."""
    *before, current = words or [""]
    try:
        answer = _candidates(before, current)
    except (StatusError, Unreachable, UsageError, UnknownType, ConfigError, OSError):
        answer = Candidates()  # nothing can be said, and this is no place for messages
    fitting = [word for word in dict.fromkeys(answer) if word.startswith(current)]
    return "".join(f"{word}\n" for word in [*fitting, f":{answer.directive}"])


def _candidates(before: list[str], current: str) -> Candidates:
    verb = next((word for word in before if word in verb_names()), "")
    commands = load_commands([verb]) if verb else []
    reading = _Reading(build_parser(commands))
    for word in before:
        reading.take(word)
    if reading.pending is not None:
        return _values(reading, reading.pending)
    flags = reading.parser.flags
    if current.startswith("-"):
        name, equals, _ = current.partition("=")
        if equals and name in flags:
            values = _values(reading, flags[name])
            return Candidates([f"{name}={value}" for value in values], values.directive)
        return Candidates(sorted(flags))
    if reading.behind_dashes:
        return Candidates(directive=0)
    if (verbs := reading.parser.verbs) is not None:
        if reading.words:
            return Candidates()  # a verb that does not exist
        return Candidates(sorted(verbs) if reading.path else verb_names())
    cursor = Cursor(reading.context, reading.options, tuple(reading.path), tuple(reading.words), current)
    return commands[0].completes(cursor)


class _Reading:
    """The words before the cursor as far as they are read: the verb's parser, options, a flag without its value."""

    def __init__(self, parser: Parser) -> None:
        self.parser = parser
        self.path: list[str] = []
        self.words: list[str] = []
        self.options: Dict = {}
        self.pending: argparse.Action | None = None
        self.behind_dashes = False

    @property
    def context(self) -> CommandContext:
        return make_context(argparse.Namespace(**{**self.options, "request_timeout": REQUEST_SECONDS}))

    def take(self, word: str) -> None:
        if self.pending is not None:
            self.options[self.pending.dest] = word
            self.pending = None
        elif word == "--" or self.behind_dashes:
            self.behind_dashes = True
        elif word.startswith("-"):
            name, equals, value = word.partition("=")
            action = self.parser.flags.get(name)
            if action is not None and equals:
                self.options[action.dest] = value
            elif action is not None and action.nargs is None and not is_switch(action):
                self.pending = action
            elif action is not None:
                self.options[action.dest] = True
        elif word in (self.parser.verbs or {}):
            self.parser = (self.parser.verbs or {})[word]
            self.path.append(word)
        else:
            self.words.append(word)


def _values(reading: _Reading, flag: argparse.Action) -> Candidates:
    """Candidates for the value of a flag."""
    if flag.dest == "namespace":
        return Candidates(candidates.names(reading.context, "namespaces"))
    if flag.dest == "output":
        return Candidates(FORMATS)
    if flag.dest == "dry_run":
        return Candidates(("none", "client", "server"))
    if flag.dest == "container" and reading.words:
        return Candidates(candidates.containers(reading.context, reading.words[0]))
    if flag.dest == "context":
        return Candidates(candidates.contexts(reading.options))
    if isinstance(flag.metavar, str) and "|" in flag.metavar:
        return Candidates(flag.metavar.split("|"))
    takes_file = flag.dest in ("filename", "kustomize", "kubeconfig") or flag.metavar == "FILE"
    return Candidates(directive=0) if takes_file else Candidates()
