"""Reads JSONPath templates as kubectl does: `{.items[*].metadata.name}`, `{range …}{end}`, filters, quotes.

Source: Kubernetes documentation, "JSONPath Support".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Json = Any
Step = Callable[[list[Json]], list[Json]]


class JSONPathError(ValueError):
    """The template cannot be parsed, or names what the object lacks."""


@dataclass(frozen=True)
class TextNode:
    text: str


@dataclass(frozen=True)
class PathNode:
    steps: tuple[Step, ...]
    source: str
    from_root: bool = False

    def find(self, value: Json, root: Json) -> list[Json]:
        values = [root if self.from_root else value]
        for step in self.steps:
            values = step(values)
        return values


@dataclass(frozen=True)
class RangeNode:
    path: PathNode
    body: tuple[TextNode | PathNode | RangeNode, ...]


Node = TextNode | PathNode | RangeNode


class Template:
    """A parsed template; `render(object)` gives its text.

    Raises: JSONPathError from both.
    """

    def __init__(self, source: str) -> None:
        self._nodes = _parse_template(source)

    def render(self, value: Json) -> str:
        return "".join(_render(self._nodes, value, value))

    def find(self, value: Json) -> list[Json]:
        """The values that the first path of the template finds."""
        path = next((node for node in self._nodes if isinstance(node, PathNode)), None)
        return path.find(value, value) if path else []


def relaxed(source: str) -> str:
    """`.a.b`, `a.b` and `{.a.b}` all mean `{.a.b}` in --sort-by and custom columns."""
    source = source.strip()
    if source.startswith("{"):
        return source
    return "{" + (source if source.startswith((".", "[", "$", "@")) else "." + source) + "}"


def _render(nodes: tuple[Node, ...], value: Json, root: Json) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, TextNode):
            yield node.text
        elif isinstance(node, PathNode):
            yield " ".join(text_of(item) for item in node.find(value, root))
        else:
            for item in node.path.find(value, root):
                yield from _render(node.body, item, root)


def text_of(value: Json) -> str:
    """A value as kubectl prints it: strings bare, the rest as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def _parse_template(source: str) -> tuple[Node, ...]:
    stack: list[tuple[PathNode | None, list[Node]]] = [(None, [])]
    position = 0
    while position < len(source):
        start = source.find("{", position)
        if start < 0:
            stack[-1][1].append(TextNode(source[position:]))
            break
        if start > position:
            stack[-1][1].append(TextNode(source[position:start]))
        end = _closing(source, start)
        action = source[start + 1 : end].strip()
        position = end + 1
        if action == "end":
            path, body = stack.pop()
            if path is None:
                raise JSONPathError("not in range, nothing to end")
            stack[-1][1].append(RangeNode(path, tuple(body)))
        elif action.startswith("range ") or action == "range":
            stack.append((_parse_path(action[5:].strip()), []))
        elif action[:1] in "\"'" and action:
            stack[-1][1].append(TextNode(_unquote(action)))
        else:
            stack[-1][1].append(_parse_path(action))
    if len(stack) > 1:
        raise JSONPathError("unclosed range: {end} is missing")
    return tuple(stack[0][1])


def _closing(text: str, start: int) -> int:
    """The place of the bracket that closes the one at `start`, which may hold others, and quotes."""
    opening, closing = text[start], {"{": "}", "[": "]"}[text[start]]
    depth, quote = 0, ""
    for index in range(start, len(text)):
        char = text[index]
        if quote:
            quote = "" if char == quote and text[index - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if not depth:
                return index
    raise JSONPathError("unclosed action" if opening == "{" else "unterminated array")


def _unquote(text: str) -> str:
    if len(text) < 2 or text[0] != text[-1]:
        raise JSONPathError(f"unterminated quoted string {text}")
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), text[1:-1])


_FIELD = re.compile(r"(?:\\.|[^\s.\[\]\\{}()'\"=<>!,|&])+")


def _parse_path(source: str) -> PathNode:
    steps: list[Step] = []
    text, from_root = source, False
    if text.startswith("$"):
        text, from_root = text[1:], True
    elif text.startswith("@"):
        text = text[1:]
    elif text and text[0] not in ".[":
        raise JSONPathError(f"unrecognized expression {source!r}: a path starts with . or [")
    while text:
        if text.startswith(".."):
            steps.append(_descend)
            text = text[2:]
            if text and text[0] not in "[.":
                text = "." + text
        elif text.startswith("."):
            text = text[1:]
            if text.startswith("*"):
                steps.append(_every)
                text = text[1:]
            elif match := _FIELD.match(text):
                steps.append(_field(re.sub(r"\\(.)", r"\1", match[0])))
                text = text[match.end() :]
            elif text and text[0] != "[":
                raise JSONPathError(f"cannot parse {source!r} at {text!r}")
        elif text.startswith("["):
            end = _closing(text, 0)
            steps.append(_subscript(text[1:end].strip()))
            text = text[end + 1 :]
        else:
            raise JSONPathError(f"cannot parse {source!r} at {text!r}")
    return PathNode(tuple(steps), source, from_root)


def _field(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _every(values: list[Json]) -> list[Json]:
    items: list[Json] = []
    for value in values:
        if isinstance(value, list):
            items += value
        elif isinstance(value, dict):
            items += value.values()
    return items


def _descend(values: list[Json]) -> list[Json]:
    below: list[Json] = []
    for value in values:
        below.append(value)
        below += _descend(_every([value]))
    return below


def _subscript(inside: str) -> Step:
    if inside == "*":
        return _every
    if inside.startswith("?(") and inside.endswith(")"):
        return _filter(inside[2:-1].strip())
    names = re.fullmatch(r"""\s*(['"]).*\1\s*""", inside)
    if names:
        keys = [_unquote(part.strip()) for part in re.split(r",(?=\s*['\"])", inside)]
        steps = [_field(key) for key in keys]
        return lambda values: [value for step in steps for value in step(values)]
    if re.fullmatch(r"-?\d+(\s*,\s*-?\d+)*", inside):
        indexes = [int(part) for part in inside.split(",")]
        return _at(indexes)
    if re.fullmatch(r"(-?\d*):(-?\d*)(:\d*)?", inside):
        bounds = slice(*[int(part) if part else None for part in inside.split(":")])
        return lambda values: [item for value in values if isinstance(value, list) for item in value[bounds]]
    raise JSONPathError(f"invalid array index {inside}")


def _at(indexes: list[int]) -> Step:
    def step(values: list[Json]) -> list[Json]:
        items = []
        for value in values:
            if not isinstance(value, list):
                continue
            for index in indexes:
                if not -len(value) <= index < len(value):
                    raise JSONPathError(f"array index out of bounds: index {index}, length {len(value)}")
                items.append(value[index])
        return items

    return step


_OPERATOR = re.compile(r"""((?:[^'"=<>!]|'[^']*'|"[^"]*")+?)\s*(==|!=|<=|>=|<|>)\s*(.+)\Z""")


def _filter(expression: str) -> Step:
    match = _OPERATOR.match(expression)
    if not match:
        exists = _parse_path(expression)
        return lambda values: [item for item in _every(values) if exists.find(item, item)]
    left, operator, right = _operand(match[1].strip()), match[2], _operand(match[3].strip())
    return lambda values: [item for item in _every(values) if _holds(left(item), operator, right(item))]


def _operand(text: str) -> Callable[[Json], list[Json]]:
    if text[0] in "\"'":
        constant: Json = _unquote(text)
        return lambda item: [constant]
    if text[0] in "@$.":
        path = _parse_path(text)
        return lambda item: path.find(item, item)
    try:
        value = json.loads(text)
    except ValueError:
        raise JSONPathError(f"cannot parse {text!r} in a filter") from None
    return lambda item: [value]


def _holds(left: list[Json], operator: str, right: list[Json]) -> bool:
    if len(left) != 1 or len(right) != 1:
        return False
    a, b = left[0], right[0]
    if operator in ("==", "!="):
        return bool((a == b) == (operator == "=="))
    if not (isinstance(a, int | float) and isinstance(b, int | float)) and not (
        isinstance(a, str) and isinstance(b, str)
    ):
        return False
    return bool({"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[operator])  # type: ignore[operator]
