"""Verbs and their context: a verb's help, flags, completion and action; the cluster, the streams and the errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self, TextIO, TypeVar

from apimachinery.errors import StatusError
from kubeclient.access.config import ClientConfig
from kubectl.api.client import ApiClient, Dict
from kubectl.api.discovery import TypeDiscovery
from kubectl.invocation.parser import Parser, colour

Result = TypeVar("Result")


class UsageError(Exception):
    """The command line or a manifest is wrong; printed as `error: …`, exit code 1."""


class ExitCode(Exception):
    """Ends the command with this exit code; the verb has printed all there is to say (e.g. exec's remote exit code)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


@dataclass
class CommandContext:
    """The cluster and the streams that one invocation works with."""

    load: Callable[[], ClientConfig]
    given_namespace: str = ""
    request_timeout_seconds: float | None = None
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    @cached_property
    def config(self) -> ClientConfig:
        """Raises: ConfigError."""
        return self.load()

    @property
    def namespace(self) -> str:
        return self.given_namespace or self.config.namespace

    @cached_property
    def api(self) -> ApiClient:
        return ApiClient(self.config, self.request_timeout_seconds, on_warning=self.warn)

    @cached_property
    def discovery(self) -> TypeDiscovery:
        return TypeDiscovery(self.api)

    def print(self, text: str = "") -> None:
        self.out.write(text + "\n")
        self.out.flush()

    def say(self, text: str) -> None:
        """Writes a note to standard error, which is not part of the result."""
        self.err.write(text + "\n")
        self.err.flush()

    def warn(self, text: str) -> None:
        self.say(colour("Warning:", "yellow", self.err) + " " + text)


@contextmanager
def blaming(action: str, source: str) -> Iterator[None]:
    """Puts into a refused request's message what was being done with which file; nothing where there is none."""
    try:
        yield
    except StatusError as error:
        if source:
            error.message = f'error when {action} "{source}": {error.message}'
        raise


def refuse(*rules: tuple[object, str]) -> None:
    """Raises: UsageError with the message of the first rule whose condition is true."""
    for condition, message in rules:
        if condition:
            raise UsageError(message)


class Failures(list[Exception]):
    """What went wrong with some objects, while a verb goes on with the others.

    The end of its `with` block raises them: the error where there is one, and a group of all where there are several.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self and error is None:
            raise self[0] if len(self) == 1 else ExceptionGroup("several objects", self)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Adds what its block raises."""
        try:
            yield
        except (StatusError, UsageError) as error:
            self.append(error)


def retried(tries: int, action: Callable[[int], Result], *losing: type[StatusError]) -> Result:
    """The result of `action`, which gets the number of the try, from 1, and is tried again where it fails by `losing`:
    where another writer was faster.
    """
    for number in range(1, tries):
        try:
            return action(number)
        except losing:
            continue
    return action(tries)


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
    options: Dict
    path: tuple[str, ...]
    words: tuple[str, ...]
    current: str


def no_flags(parser: Parser) -> None:
    """The `configure` of a verb without words and flags of its own."""


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
