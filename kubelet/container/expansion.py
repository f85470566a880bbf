"""`$(NAME)` references in commands, arguments and environment values."""

from __future__ import annotations

from collections.abc import Mapping


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replaces each `$(NAME)` that `values` knows; unknown references stay as they are, and `$$` is a plain `$`.

    Source: Kubernetes API, `Container.command`: "$$(NAME)" is never expanded and yields "$(NAME)".
    """
    if "$" not in text:
        return text
    parts: list[str] = []
    position = 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0 or dollar + 1 == len(text):
            parts.append(text[position:])
            return "".join(parts)
        parts.append(text[position:dollar])
        following = text[dollar + 1]
        if following == "$":
            parts.append("$")
            position = dollar + 2
        elif following == "(":
            end = text.find(")", dollar + 2)
            if end < 0:
                parts.append("$(")
                position = dollar + 2
                continue
            name = text[dollar + 2 : end]
            parts.append(values.get(name, f"$({name})"))
            position = end + 1
        else:
            parts.append(text[dollar : dollar + 2])
            position = dollar + 2
