"""Warnings as headers."""

from __future__ import annotations

from apiserver.handlers._shared import warning_headers


def test_warnings_are_quoted_once_and_bounded() -> None:
    assert warning_headers([]) is None
    assert warning_headers(['a "b"', 'a "b"', "line\nbreak\\"]) == [
        (b"warning", rb'299 - "a \"b\""'),
        (b"warning", rb'299 - "line break\\"'),
    ]
    assert len(warning_headers([str(index) + "x" * 100 for index in range(100)]) or []) < 50
