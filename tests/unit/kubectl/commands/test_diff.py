"""How `diff` hides the data of Secrets."""

from __future__ import annotations

from kubectl.commands.advanced.diff import masked


def test_secrets_are_compared_without_being_shown() -> None:
    old, new = masked({"data": {"a": "1", "b": "1", "c": "1"}}, {"data": {"a": "2", "b": "1", "d": "1"}})
    assert old == {"data": {"a": "*** (before)", "b": "***", "c": "***"}}
    assert new == {"data": {"a": "*** (after)", "b": "***", "d": "***"}}
    assert masked(None, {"data": {"a": "1"}}) == (None, {"data": {"a": "***"}})
