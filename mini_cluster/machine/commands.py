"""Runs the machine's tools."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from mini_cluster.errors import LauncherError

COMMAND_SECONDS = 30.0  # for one command; they all take milliseconds unless the machine is in trouble


class MachineCommandError(LauncherError):
    """A command failed; the message has the command and what it printed."""


def run(argv: Sequence[str], *, stdin: str = "", check: bool = True) -> str:
    """Runs a command to its end and returns its standard output.

    With `check=False` a failure returns "" instead, for commands that ask whether something is there.
    Raises: MachineCommandError.
    """
    done = _ended(argv, stdin)
    if done.returncode == 0:
        return done.stdout
    if check:
        raise MachineCommandError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return ""


def succeeds(argv: Sequence[str]) -> bool:
    """Tells whether the command ends with 0. Raises: MachineCommandError when it cannot be run."""
    return _ended(argv).returncode == 0


def _ended(argv: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    except OSError as error:
        raise MachineCommandError(f"cannot run {argv[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise MachineCommandError(f"{' '.join(argv)}: no end within {COMMAND_SECONDS:g} s") from None
