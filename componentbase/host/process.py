"""Runs the programs that daemons work through (iptables, conntrack), within a time bound."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

COMMAND_TIMEOUT_SECONDS = 300.0
"""For what is done at once for thousands of objects, on a machine that has much else to do."""


class CommandError(Exception):
    """A program that failed, is missing or did not end in time."""

    def __init__(self, argv: Sequence[str], code: int | None, message: str, output: str = "") -> None:
        super().__init__(f"{' '.join(argv)}: {message.strip() or f'exit code {code}'}")
        self.code = code
        """The exit code; None where it never ran or was killed at its time limit."""
        self.output = output
        """What it wrote to its standard output."""


async def run(
    *argv: str,
    stdin: str = "",
    timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Runs the program and returns its standard output; `environment` is by default our own.

    Raises: CommandError.
    """
    source = _file_of(stdin)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
        )
    except OSError as error:
        message = "no such program on PATH" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise CommandError(argv, None, message) from None
    finally:
        os.close(source)
    try:
        async with asyncio.timeout(timeout_seconds):
            out, err = await process.communicate()
    except TimeoutError:
        raise CommandError(argv, None, f"not done after {timeout_seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        said = (text.decode(errors="replace") for text in (err, out))
        raise CommandError(argv, process.returncode, *said)
    return out.decode(errors="replace")


def _file_of(text: str) -> int:
    """Makes a file in memory with this text, positioned at its beginning.

    Not a pipe: writing to a program that has ended already is an error that would end a daemon.
    """
    file = os.memfd_create("stdin")
    try:
        with open(file, "wb", closefd=False) as writer:
            writer.write(text.encode())
        os.lseek(file, 0, os.SEEK_SET)
    except BaseException:
        os.close(file)
        raise
    return file
