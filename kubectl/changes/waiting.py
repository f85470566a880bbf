"""Waits for an object to reach a state, by watch, within a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

from apimachinery.errors import Expired, NotFound
from kubectl.api.client import Dict
from kubectl.input.targets import Target
from kubectl.invocation.command import CommandContext, UsageError

POLL_SECONDS = 30  # a watch is renewed this often; changes arrive at once


TIMED_OUT = "timed out waiting for the condition"


class TimedOut(UsageError):
    """The deadline passed first."""


def wait_until(
    context: CommandContext,
    target: Target,
    done: Callable[[Dict | None], bool],
    timeout_seconds: float | None,
    *,
    now: Callable[[], float] = time.monotonic,
) -> Dict | None:
    """Returns the object (None once deleted) as soon as `done(object)`; it is `done(None)` when the object is gone.

    `timeout_seconds` None waits for ever. Raises: TimedOut, StatusError.
    """
    deadline = None if timeout_seconds is None else now() + timeout_seconds
    while True:
        obj = read(context, target)
        if done(obj):
            return obj
        left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, deadline - now())
        if left <= 0:
            raise TimedOut(f"{TIMED_OUT} on {target.kind.plural}/{target.name}")
        version = obj["metadata"]["resourceVersion"] if obj else "0"
        params = {
            "fieldSelector": f"metadata.name={target.name}",
            "resourceVersion": version,
            "timeoutSeconds": max(1, round(left)),
        }
        try:
            for kind, event in context.api.watch(target.kind.path(target.namespace), params):
                state = None if kind == "DELETED" else event
                if done(state):
                    return state
                if deadline is not None and now() >= deadline:
                    break
        except Expired:
            continue  # the read at the top brings a fresh revision


def read(context: CommandContext, target: Target) -> Dict | None:
    """The object; None where it does not exist."""
    try:
        return context.api.request("GET", target.path)
    except NotFound:
        return None
