"""Deleting objects and waiting until they are gone: for `delete`, and for verbs that delete on their way."""

from __future__ import annotations

import time
from collections.abc import Iterable

from apimachinery.errors import NotFound
from kubectl.api.client import Dict
from kubectl.changes.waiting import TimedOut, wait_until
from kubectl.input.manifests import Target
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import dry_run_params
from kubectl.invocation.parser import choice

CASCADE = choice(
    "background", "foreground", "orphan", "true", "false",
    refusal='invalid cascade value (%s). Must be "background", "foreground", or "orphan"',
)  # fmt: skip
_OLD_CASCADES = {"true": "background", "false": "orphan"}
_UNKNOWN = "?"


def cascade_of(context: CommandContext, given: str) -> str:
    """What --cascade means; its old booleans are said to be old."""
    new = _OLD_CASCADES.get(given)
    if new is None:
        return given
    context.say(f"warning: --cascade={given} is deprecated (boolean value) and can be replaced with --cascade={new}.")
    return new


def delete_object(
    context: CommandContext,
    target: Target,
    *,
    cascade: str = "background",
    grace_period: int = -1,
    dry_run: str = "none",
) -> str:
    """The uid of what is going away, as far as the server says it. Raises: StatusError."""
    if dry_run == "client":
        return _UNKNOWN
    options: Dict = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": cascade.capitalize()}
    if grace_period >= 0:
        options["gracePeriodSeconds"] = grace_period
    answer = context.api.request("DELETE", target.path, params=dry_run_params(dry_run), body=options)
    return (answer.get("details") or {}).get("uid") or (answer.get("metadata") or {}).get("uid") or _UNKNOWN


def wait_gone(context: CommandContext, deleted: Iterable[tuple[Target, str]], timeout_seconds: float | None) -> None:
    """Until none of these uids is left. Raises: UsageError once the time is over."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    for target, uid in deleted:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        try:
            wait_until(context, target, lambda obj, uid=uid: _gone(obj, uid), left)  # type: ignore[misc]
        except TimedOut as error:
            raise UsageError(str(error)) from error


def _gone(obj: Dict | None, uid: str) -> bool:
    return obj is None or (uid != _UNKNOWN and obj["metadata"].get("uid") != uid)


def delete_and_wait(
    context: CommandContext,
    targets: Iterable[Target],
    *,
    cascade: str,
    grace_period: int,
    timeout_seconds: float | None,
) -> list[Target]:
    """Those that were there. Raises: StatusError, UsageError."""
    deleted = []
    for target in targets:
        try:
            uid = delete_object(context, target, cascade=cascade, grace_period=grace_period)
        except NotFound:
            continue
        deleted.append((target, uid))
    wait_gone(context, deleted, timeout_seconds)
    return [target for target, _ in deleted]
