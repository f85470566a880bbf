"""What a subresource is: which verbs it answers, and the kind it speaks for discovery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apiserver.handlers._shared import Target
from apiserver.request.message import Answer, Request

if TYPE_CHECKING:
    from apiserver.main.context import Context

Handler = Callable[["Context", Request, Target], Awaitable[Answer]]


@dataclass(frozen=True)
class Subresource:
    """`resource` is the plural it belongs to. `kind`, `group` and `version` are those of its body, in discovery."""

    resource: str
    name: str
    handlers: Mapping[str, Handler]
    """Verb ("get", "create", "update", "patch") -> handler."""
    kind: str
    group: str = ""
    version: str = "v1"
    resource_group: str = ""
    long_running: bool = False
    """Streams for as long as the client likes: outside the limits of requests in flight and of time."""

    @property
    def verbs(self) -> list[str]:
        """For discovery, which does not know OPTIONS."""
        return sorted(verb for verb in self.handlers if verb != "options")
