"""The errors that the user is told without a traceback."""

from __future__ import annotations


class LauncherError(Exception):
    """The base of the launcher's errors; the message says what happened and, where it can, what to do."""


class ClusterError(LauncherError):
    """An operation on the cluster failed; the message is for the user."""


class ApiError(LauncherError):
    """The API server can't be reached or refused; the message says how, and `code` is its answer's, or 0."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code
