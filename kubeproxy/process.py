"""Runs the programs that kube-proxy works through (iptables, conntrack), one at a time and within a time bound."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

COMMAND_TIMEOUT_SECONDS = 300.0
"""The nft variant of iptables takes minutes to write the first rules of some thousand services."""


class CommandError(Exception):
    """A program that failed, is missing or did not end in time."""

    def __init__(self, argv: Sequence[str], code: int | None, message: str) -> None:
        super().__init__(f"{' '.join(argv)}: {message.strip() or f'exit code {code}'}")
        self.code = code
        """The exit code; None where it never ran or was killed for its time."""


async def run(*argv: str, stdin: str = "", timeout_seconds: float = COMMAND_TIMEOUT_SECONDS) -> str:
    """Its standard output.

    Raises: CommandError.
    """
    # A pipe that a program never reads may close before the empty input was written to it, which is an error.
    source = asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise CommandError(argv, None, "no such program on PATH") from None
    try:
        async with asyncio.timeout(timeout_seconds):
            out, err = await process.communicate(stdin.encode() or None)
    except TimeoutError:
        raise CommandError(argv, None, f"not done after {timeout_seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise CommandError(argv, process.returncode, err.decode(errors="replace"))
    return out.decode(errors="replace")
