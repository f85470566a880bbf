"""jsonpatch.escapeKey, for the paths of JSON patches."""

from __future__ import annotations

from kubecel.functions import FIRST, Library, per_character

LIBRARY = Library("jsonpatches")


@LIBRARY("jsonpatch.escapeKey(string): string", cost=per_character(), size=FIRST)
def escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")
