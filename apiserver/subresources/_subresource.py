"""A subresource: what stands below an object's path, with the verbs that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apiserver.handlers.api import Handler


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
