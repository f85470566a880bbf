"""How `label` reads changes."""

from __future__ import annotations

import pytest

from kubectl.commands.settings._metadata import parse_changes
from kubectl.invocation.command import UsageError


def test_label_changes() -> None:
    assert parse_changes(["pod", "web", "a=1", "b-"], "label") == (["pod", "web"], {"a": "1", "b": None})
    assert parse_changes(["pod/web", "b-"], "label") == (["pod/web"], {"b": None})


@pytest.mark.parametrize(
    "words",
    [["pod", "web"], ["pod", "a=1", "a-"], ["pod", "a-", "a=1"], ["pod", "a=1", "web"], ["pod", "web", "=x"]],
)
def test_changes_that_contradict_each_other_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_changes(words, "label")
