"""Holds sessions with a container's main process, for `attach`, `run` and `debug`."""

from __future__ import annotations

import argparse
import sys

from apimachinery.errors import StatusError
from kubeapi.core.pod.lifecycle import is_terminal
from kubectl.api.client import Dict
from kubectl.changes.waiting import TimedOut, wait_until
from kubectl.input.pods import containers
from kubectl.input.targets import Target
from kubectl.invocation.command import CommandContext, UsageError
from kubectl.invocation.flags import add_bool

NO_TERMINAL = "Unable to use a TTY - input is not a terminal or the right kind of file"
PROMPT = "If you don't see a command prompt, try pressing enter."


def add_session_flags(parser: argparse.ArgumentParser, *, new: bool) -> None:
    """Adds -i, -t and -q; `new`: of a container that the verb makes, to which it need not attach."""
    stdin = "keep standard input open, and attach" if new else "pass standard input to the container"
    parser.add_argument("-i", "--stdin", action="store_true", help=stdin)
    parser.add_argument("-t", "--tty", action="store_true", help="with a terminal")
    add_bool(parser, "-q", "--quiet", default=False, help="no words around the session")
    if new:
        add_bool(parser, "--attach", default=None, help="attach once the container runs; the default with -i")


def attach(context: CommandContext, pod: Dict, name: str, *, stdin: bool, tty: bool, quiet: bool) -> None:
    """Attaches until the container ends or standard input does. Raises: StatusError, Unreachable, UsageError."""
    from kubectl.remote.remotecommand import RemoteProcess, run_remote  # here: websockets takes 60 ms

    container = next(c for c in containers(pod) if c["name"] == name)
    if tty and not container.get("tty"):
        tty = False
        if not quiet:
            context.say(f"error: Unable to use a TTY - container {name} did not allocate one")
    elif container.get("tty"):
        tty = True  # the terminal is the container's, whatever is asked for
    raw = tty and stdin and sys.stdin.isatty()
    if tty and stdin and not raw and not quiet:
        context.say(NO_TERMINAL)
    if not quiet:
        context.say(PROMPT)
    run_remote(context, RemoteProcess(pod, name, stdin=stdin, tty=tty), terminal=raw)
    if not quiet and raw:
        _say_how_to_return(context, pod, name)


def _say_how_to_return(context: CommandContext, pod: Dict, name: str) -> None:
    command = f"mini-kubectl attach {pod['metadata']['name']} -c {name} -i -t"
    if any(c["name"] == name for c in containers(pod, "ephemeralContainers")):
        context.print(
            "Session ended, the ephemeral container will not be restarted but may be reattached using "
            f"'{command}' if it is still running"
        )
    elif pod["spec"].get("restartPolicy") == "Always":
        context.print(f"Session ended, resume using '{command}' command when the pod is running")


def attach_when_running(
    context: CommandContext,
    target: Target,
    name: str,
    *,
    stdin: bool,
    tty: bool,
    quiet: bool,
    timeout_seconds: float | None,
    warn: bool = False,
) -> None:
    """Waits for the container and attaches; copies its log where it has ended before a session could begin.

    `warn`: prints what the container waits for.
    """
    printed: set[str] = set()

    def ready(pod: Dict | None) -> bool:
        if pod is None or started(pod, name):
            return True
        message = (_state(pod, name).get("waiting") or {}).get("message")
        if warn and message and message not in printed:
            printed.add(message)
            context.warn(f"container {name}: {message}")
        return False

    try:
        pod = wait_until(context, target, ready, timeout_seconds)
    except TimedOut as error:
        raise UsageError("timed out waiting for the condition") from error
    if pod is None:
        raise UsageError(f"{target.display} was deleted before it ran")
    if ended(pod, name):
        copy_log(context, target, name)
        return
    try:
        attach(context, pod, name, stdin=stdin, tty=tty, quiet=quiet)
    except (StatusError, UsageError) as error:
        context.say(f"warning: couldn't attach to pod/{target.name}, falling back to streaming logs: {error}")
        copy_log(context, target, name)


def _state(pod: Dict, name: str) -> Dict:
    status = pod.get("status", {})
    fields = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    for field in fields:
        for entry in status.get(field) or ():
            if entry["name"] == name:
                return entry.get("state") or {}
    return {}


def ended(pod: Dict, name: str) -> bool:
    return is_terminal(pod.get("status", {}).get("phase")) or "terminated" in _state(pod, name)


def started(pod: Dict, name: str) -> bool:
    return ended(pod, name) or "running" in _state(pod, name)


def wait_for_end(context: CommandContext, target: Target) -> Dict:
    """Returns the pod once it has ended. Raises: UsageError where it is deleted first."""
    pod = wait_until(context, target, lambda pod: pod is None or is_terminal(pod.get("status", {}).get("phase")), None)
    if pod is None:
        raise UsageError(f"{target.display} was deleted before it ended")
    return pod


def copy_log(context: CommandContext, target: Target, name: str) -> None:
    path = target.kind.path(target.namespace, target.name, "log")
    out = sys.stdout.buffer
    for chunk in context.api.stream(path, {"container": name, "follow": "true"}):
        out.write(chunk)
        out.flush()
