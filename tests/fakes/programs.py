"""What a container of the fake runtime does follows from its command line.

One vocabulary, which the contract suite uses on real containers too:

- `sleep N`, `pause` or no command: runs until it is signalled; SIGTERM ends it with 143
- `sh -c TEXT`: statements split at ";": `echo WORDS`, `echo WORDS >&2`, `exit N`, `sleep N`,
  `trap '' TERM` (ignores SIGTERM), `cat` (copies stdin until it ends); anything else is 127
- `echo WORDS`: prints and exits 0; `true`; `cat`; anything else cannot be started
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from kubelet.runtime.interface import StreamName

FINISHED = "finished"  # queue marker: the process closed its streams


@dataclass(frozen=True)
class Script:
    """What a command line does: prints, then exits with `exit_code`, or runs on (None)."""

    output: tuple[tuple[StreamName, bytes], ...] = ()
    exit_code: int | None = 0
    ignores_sigterm: bool = False
    copies_stdin: bool = False
    startable: bool = True


def script_of(argv: Sequence[str]) -> Script:
    """Reads a command line in the vocabulary above."""
    if not argv or argv[0] in ("sleep", "pause"):
        return Script(exit_code=None)
    if argv[0] == "echo":
        return Script(output=(("stdout", " ".join(argv[1:]).encode() + b"\n"),))
    if argv[0] == "cat":
        return Script(copies_stdin=True)
    if argv[0] == "true":
        return Script()
    if list(argv[:2]) == ["sh", "-c"]:
        return _shell(argv[2])
    return Script(startable=False)


def _shell(text: str) -> Script:
    output: list[tuple[StreamName, bytes]] = []
    deaf = False
    for statement in text.split(";"):
        to_stderr = statement.rstrip().endswith(">&2")
        words = shlex.split(statement.replace(">&2", ""))
        if not words:
            continue
        if words[0] == "echo":
            output.append(("stderr" if to_stderr else "stdout", " ".join(words[1:]).encode() + b"\n"))
        elif words[0] == "trap":
            deaf = words[1] == ""
        elif words[0] == "exit":
            return Script(tuple(output), int(words[1]))
        elif words[0] in ("sleep", "wait"):
            return Script(tuple(output), None, deaf)
        elif words[0] == "cat":
            return Script(tuple(output), 0, copies_stdin=True)
        else:
            return Script(tuple(output), 127)
    return Script(tuple(output), 0)


class FakeSession:
    """An exec or attach on the fake."""

    def __init__(self, script: Script, sizes: list[tuple[int, int]]) -> None:
        self._script = script
        self._queue: asyncio.Queue[tuple[StreamName, bytes] | str] = asyncio.Queue()
        self.sizes = sizes
        self.closed = asyncio.Event()
        for chunk in script.output:
            self._queue.put_nowait(chunk)
        if script.exit_code is not None and not script.copies_stdin:
            self._queue.put_nowait(FINISHED)

    async def write(self, data: bytes) -> None:
        if self._script.copies_stdin:
            self._queue.put_nowait(("stdout", data))

    async def close_stdin(self) -> None:
        if self._script.copies_stdin:
            self._queue.put_nowait(FINISHED)

    async def output(self) -> AsyncIterator[tuple[StreamName, bytes]]:
        while not isinstance(item := await self._queue.get(), str):
            yield item

    async def resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))

    async def exit_code(self) -> int | None:
        return self._script.exit_code

    async def close(self) -> None:
        self.closed.set()
        self._queue.put_nowait(FINISHED)
