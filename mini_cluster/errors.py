"""What goes wrong in a way that the user is told without a traceback."""

from __future__ import annotations


class LauncherError(Exception):
    """The base of the launcher's errors; the message says what happened and, where it can, what to do."""
