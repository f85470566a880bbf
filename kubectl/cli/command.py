"""What a verb is, and what every verb is given."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TextIO

from apimachinery.errors import StatusError
from kubeclient.config import ClientConfig
from kubectl.api.client import Api
from kubectl.api.discovery import Discovery


class UsageError(Exception):
    """The command line or a manifest is wrong; printed as `error: …`, exit code 1."""


@contextmanager
def blaming(what: str, source: str) -> Iterator[None]:
    """Says in a refused request's message what was being done with which file."""
    try:
        yield
    except StatusError as error:
        error.message = f'error when {what} "{source}": {error.message}'
        raise


class ExitCode(Exception):
    """Ends the command with this exit code; everything has been said already (e.g. exec's remote exit code)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


@dataclass
class Context:
    """The cluster and the streams one invocation works with."""

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
    def api(self) -> Api:
        return Api(self.config, self.request_timeout_seconds, on_warning=self.warn)

    @cached_property
    def discovery(self) -> Discovery:
        return Discovery(self.api)

    def print(self, text: str = "") -> None:
        self.out.write(text + "\n")
        self.out.flush()

    def say(self, text: str) -> None:
        """To standard error: notes that are no part of the result."""
        self.err.write(text + "\n")
        self.err.flush()

    def warn(self, text: str) -> None:
        self.say(colour("Warning:", "yellow", self.err) + " " + text)


@dataclass(frozen=True)
class Command:
    """One verb: `COMMAND = Command(...)` in its file in `commands/` is all it takes.

    `configure` adds its arguments, `run` does it. Verbs with sub-verbs add them in `configure` and dispatch in `run`.
    """

    name: str
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Context, argparse.Namespace], None]
    examples: str = ""
    aliases: tuple[str, ...] = ()
    failure_code: int = 1  # the exit code of any failure


_COLOURS = {"red": "31", "green": "32", "yellow": "33"}


def colour(text: str, name: str, stream: TextIO) -> str:
    """`text` in a colour where `stream` is a terminal."""
    return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if stream.isatty() else text
