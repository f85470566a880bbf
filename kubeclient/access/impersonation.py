"""The user in whose name a client's requests are to run, as the headers of each request.

Source: Kubernetes documentation, "User impersonation".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whoever sends the requests needs the right to impersonate each part."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def headers(self) -> Iterator[tuple[str, str]]:
        """Yields (name, value); a group is a header of its own. Keys of extras may hold characters that names can't."""
        yield "Impersonate-User", self.user
        for group in self.groups:
            yield "Impersonate-Group", group
        if self.uid:
            yield "Impersonate-Uid", self.uid
        for key, values in self.extra:
            for value in values:
                yield f"Impersonate-Extra-{quote(key, safe='')}", value
