"""How a verb describes itself: its help, its flags, how its words are completed, and what runs it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kubectl.invocation.context import CommandContext
from kubectl.invocation.parser import Parser

# What a shell does with candidates, as bits: no space behind the only one; no files where there are none.
NO_SPACE, NO_FILES = 2, 4


class Candidates(list[str]):
    """The words that may stand at a place of the command line; `directive` is for the shell."""

    def __init__(self, words: Iterable[str] = (), directive: int = NO_FILES) -> None:
        super().__init__(words)
        self.directive = directive


@dataclass(frozen=True)
class Cursor:
    """The place of a word that is being typed: behind which verb and sub-verbs, and behind which other words."""

    context: CommandContext
    options: dict[str, Any]
    path: tuple[str, ...]
    words: tuple[str, ...]
    current: str


def any_file(cursor: Cursor) -> Candidates:
    """Leaves the completion to the shell, which offers files."""
    return Candidates(directive=0)


@dataclass(frozen=True)
class CommandGroup:
    """`GROUP = CommandGroup(...)` in a folder of `commands/` is the heading of its verbs in the overview."""

    title: str
    position: int


@dataclass(frozen=True)
class Command:
    """One verb: `COMMAND = Command(...)` in its file in a folder of `commands/` is the whole extension.

    `configure` adds its arguments and `run` executes it. A verb with sub-verbs adds them in `configure` and dispatches
    in `run`. `completes` gives candidates for its words.
    """

    name: str
    help: str
    configure: Callable[[Parser], None]
    run: Callable[[CommandContext, argparse.Namespace], None]
    examples: str = ""
    completes: Callable[[Cursor], Candidates] = any_file
    failure_code: int = 1  # the exit code of any failure
