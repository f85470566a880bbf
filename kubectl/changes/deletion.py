"""Deletes objects and waits until they are gone: for `delete`, and for verbs that delete on their way."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from functools import partial

from apimachinery.errors import NotFound
from kubectl.api.client import Dict
from kubectl.changes.waiting import wait_until
from kubectl.input.targets import Target
from kubectl.invocation.command import CommandContext
from kubectl.invocation.flags import dry_run_params, duration
from kubectl.invocation.parser import choice

CASCADE = choice(
    "background", "foreground", "orphan",
    refusal='invalid cascade value (%s). Must be "background", "foreground", or "orphan"',
)  # fmt: skip
_UNKNOWN = "?"


def add_deletion_flags(parser: argparse.ArgumentParser) -> None:
    """Adds --grace-period, --timeout and --cascade."""
    parser.add_argument(
        "--grace-period", type=int, default=-1, metavar="SECONDS", help="of deleted objects, instead of their own"
    )
    parser.add_argument(
        "--timeout", type=duration, default=0, metavar="TIME", help="give up waiting for deletions after this time"
    )
    parser.add_argument(
        "--cascade", nargs="?", const="background", default="background",
        metavar="background|foreground|orphan", type=CASCADE, help="how dependents of deleted objects are treated",
    )  # fmt: skip


def delete_object(
    context: CommandContext,
    target: Target,
    *,
    cascade: str = "background",
    grace_period: int = -1,
    dry_run: str = "none",
) -> str:
    """The uid of what is going away, as far as the server gives it. Raises: StatusError."""
    if dry_run == "client":
        return _UNKNOWN
    options: Dict = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": cascade.capitalize()}
    if grace_period >= 0:
        options["gracePeriodSeconds"] = grace_period
    answer = context.api.request("DELETE", target.path, params=dry_run_params(dry_run), body=options)
    return (answer.get("details") or {}).get("uid") or (answer.get("metadata") or {}).get("uid") or _UNKNOWN


def wait_gone(context: CommandContext, deleted: Iterable[tuple[Target, str]], timeout_seconds: float | None) -> None:
    """Waits until no object with these uids is left. Raises: TimedOut."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    for target, uid in deleted:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        wait_until(context, target, partial(_gone, uid), left)


def _gone(uid: str, obj: Dict | None) -> bool:
    return obj is None or (uid != _UNKNOWN and obj["metadata"].get("uid") != uid)


def delete_and_wait(context: CommandContext, targets: Iterable[Target], args: argparse.Namespace) -> list[Target]:
    """Deletes as the deletion flags say, and returns those that were there. Raises: StatusError, UsageError."""
    deleted = []
    for target in targets:
        try:
            uid = delete_object(context, target, cascade=args.cascade, grace_period=args.grace_period)
        except NotFound:
            continue
        deleted.append((target, uid))
    wait_gone(context, deleted, args.timeout or None)
    return [target for target, _ in deleted]
