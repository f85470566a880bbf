"""How `cp` reads places of files."""

from __future__ import annotations

import pytest

from kubectl.commands.troubleshooting.cp import CopyPlace, parse_place
from kubectl.invocation.command import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", ("", "", "a/b")),
        ("web:/tmp/x", ("", "web", "/tmp/x")),
        ("shop/web:x:y", ("shop", "web", "x:y")),
    ],
)
def test_places_of_files(text: str, expected: tuple[str, str, str]) -> None:
    assert parse_place(text) == CopyPlace(*expected)


@pytest.mark.parametrize("text", [":x", "a/b/c:x", "./a:x", "/web:x"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(UsageError, match="canonical format"):
        parse_place(text)
