"""`exec`: runs a command in a container."""

from __future__ import annotations

import argparse
import sys

from kubectl.input import candidates
from kubectl.input.pods import add_running_timeout, choose_container, find_pods, refuse_ended
from kubectl.invocation.command import Command, CommandContext, UsageError
from kubectl.remote.attaching import NO_TERMINAL, add_session_flags


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", default="", metavar="POD", help="POD or TYPE/NAME")
    parser.add_argument("command_words", nargs="*", metavar="COMMAND", help="what to run, behind --")
    parser.add_argument("-c", "--container", default="", help="this container")
    add_session_flags(parser, new=False)
    add_running_timeout(parser)
    parser.set_defaults(words=[])


def run(context: CommandContext, args: argparse.Namespace) -> None:
    from kubectl.remote.remotecommand import RemoteProcess, run_remote  # here: websockets takes 60 ms

    if not args.target:
        raise UsageError("pod, type/name or --filename must be specified")
    if args.command_words and not args.words:
        raise UsageError(
            "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\n"
            "See 'mini-kubectl exec -h' for help and examples"
        )
    if not args.words:
        raise UsageError("you must specify at least one command for the container")
    pod = find_pods(context, [args.target], timeout_seconds=args.pod_running_timeout)[0]
    refuse_ended(pod, "exec into")
    container = choose_container(context, pod, args.container, quiet=args.quiet)
    terminal = args.tty and args.stdin and sys.stdin.isatty()
    if args.tty and not terminal and not args.quiet:
        context.say(NO_TERMINAL)
    process = RemoteProcess(pod, container, args.words, stdin=args.stdin, tty=terminal)
    run_remote(context, process, terminal=terminal)


COMMAND = Command(
    "exec",
    "Run a command in a container",
    configure,
    run,
    completes=candidates.one_pod,
    examples="""\
  mini-kubectl exec web -- date
  mini-kubectl exec -it web -c app -- sh
  echo hello | mini-kubectl exec -i web -- cat
  mini-kubectl exec deployment/web -- env""",
)
