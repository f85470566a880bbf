"""PURE: the form of a Corefile: server blocks of directives, which are words, and maybe a block of lines of words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class CorefileError(Exception):
    """A Corefile that can't be served; the message names the line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"Corefile:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Line:
    """Words, in the line `number`."""

    number: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Directive:
    head: Line
    body: tuple[Line, ...] = ()

    @property
    def name(self) -> str:
        return self.head.words[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.head.words[1:]

    def error(self, message: str, line: Line | None = None) -> CorefileError:
        return CorefileError((line or self.head).number, f"{self.name}: {message}")


@dataclass(frozen=True, slots=True)
class Block:
    keys: Line
    """The zones, as written."""
    directives: tuple[Directive, ...]


def parse_blocks(text: str) -> list[Block]:
    """Raises: CorefileError."""
    lines = _lines(text)
    blocks = []
    for line in lines:
        keys = _opened(line)
        if keys is None:
            raise CorefileError(
                line.number, f"expected a server block, such as `.:53 {{`, found `{' '.join(line.words)}`"
            )
        directives = []
        for inner in _until_closed(line, lines):
            head = _opened(inner)
            body = tuple(_until_closed(inner, lines)) if head else ()
            if any("{" in item.words for item in body):
                raise CorefileError(inner.number, "a block within a directive's block is not served")
            directives.append(Directive(head or inner, body))
        blocks.append(Block(keys, tuple(directives)))
    if not blocks:
        raise CorefileError(1, "there is no server block")
    return blocks


def _opened(line: Line) -> Line | None:
    """Returns the line without the brace that it ends in; None when it ends otherwise."""
    if line.words[-1] != "{" or len(line.words) < 2:
        return None
    return Line(line.number, line.words[:-1])


def _until_closed(opening: Line, lines: Iterator[Line]) -> Iterator[Line]:
    for line in lines:
        if line.words == ("}",):
            return
        yield line
    raise CorefileError(opening.number, "the block that begins here is not closed")


def _lines(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), 1):
        if words := tuple(_words(number, line)):
            yield Line(number, words)


def _words(number: int, line: str) -> Iterator[str]:
    """Splits at blanks; quotes hold a word together, and a # at its beginning starts a comment."""
    word, quoted, begun = "", False, False
    for index, letter in enumerate(line):
        if quoted:
            if letter == '"' and line[index - 1] != "\\":
                quoted = False
            else:
                word = (word[:-1] if letter == '"' else word) + letter
        elif letter == '"' and not begun:
            quoted = begun = True
        elif letter == "#" and not begun:
            return
        elif letter.isspace():
            if begun:
                yield word
            word, begun = "", False
        else:
            word, begun = word + letter, True
    if quoted:
        raise CorefileError(number, "a quote is not closed")
    if begun:
        yield word
