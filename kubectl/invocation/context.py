"""What every verb is given: the cluster, the streams, and the errors that end a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TextIO

from apimachinery.errors import StatusError
from kubeclient.config import ClientConfig
from kubectl.api.client import ApiClient
from kubectl.api.discovery import TypeDiscovery

_COLOURS = {"red": "31", "green": "32", "yellow": "33"}


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


def colour(text: str, name: str, stream: TextIO) -> str:
    """Colours `text` where `stream` is a terminal."""
    return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if stream.isatty() else text


@contextmanager
def blaming(action: str, source: str) -> Iterator[None]:
    """Puts into a refused request's message what was being done with which file."""
    try:
        yield
    except StatusError as error:
        error.message = f'error when {action} "{source}": {error.message}'
        raise


def raise_all(errors: list[Exception]) -> None:
    """Raises the error where there is one, and a group of all where there are several."""
    if errors:
        raise errors[0] if len(errors) == 1 else ExceptionGroup("several objects", errors)
