"""`attach`: joins the main process of a container."""

from __future__ import annotations

import argparse

from kubectl.input import candidates
from kubectl.input.pods import add_running_timeout, choose_container, find_pods, refuse_ended
from kubectl.invocation.command import Command, CommandContext, UsageError
from kubectl.remote.attaching import add_session_flags, attach


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="POD", help="POD or TYPE/NAME")
    parser.add_argument("-c", "--container", default="", help="this container")
    add_session_flags(parser, new=False)
    add_running_timeout(parser)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if not args.words:
        raise UsageError("at least 1 argument is required for attach")
    if len(args.words) > 2:
        saw = f"{len(args.words)}: [{' '.join(args.words)}]"
        raise UsageError(f"expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {saw}")
    pod = find_pods(context, args.words, timeout_seconds=args.pod_running_timeout)[0]
    refuse_ended(pod, "attach")
    unknown = "cannot attach to the container: container {name} not found in {pod}"
    name = choose_container(context, pod, args.container, quiet=args.quiet, unknown=unknown)
    attach(context, pod, name, stdin=args.stdin, tty=args.tty, quiet=args.quiet)


COMMAND = Command(
    "attach",
    "Join a container's main process",
    configure,
    run,
    completes=candidates.one_pod,
    examples="""\
  # See what the container prints from now on
  mini-kubectl attach web
  # Type into it: a container with `stdin: true` and `tty: true`
  mini-kubectl attach web -c shell -it""",
)
