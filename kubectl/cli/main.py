"""The entry point: runs one verb, and words its failure."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from apimachinery.errors import StatusError
from apimachinery.text.jsonpath import JSONPathError
from kubeclient.access.config import ConfigError
from kubectl.api.client import Unreachable
from kubectl.api.discovery import UnknownType
from kubectl.cli.commandline import build_parser, load_commands
from kubectl.cli.configuration import make_context
from kubectl.invocation.command import ExitCode, UsageError
from kubectl.invocation.parser import colour


def describe_failure(error: BaseException, *, alone: bool = True) -> str:
    """Words an error, or one of several, as kubectl does."""
    if isinstance(error, StatusError):
        if error.code == 401:
            return f"error: You must be logged in to the server ({error.message})"
        if error.reason == "Invalid" and alone:
            return _describe_invalid(error)
        reason = f" ({error.reason})" if error.reason else ""
        return f"Error from server{reason}: {error.message}"
    if isinstance(error, Unreachable) or not alone:
        return str(error)
    return f"error: {error}"


def _describe_invalid(error: StatusError) -> str:
    """A line for each bad field, where there are several."""
    details = error.details or {}
    if not error.causes:
        return f"The request is invalid: {error.message}"
    subject = "The request is invalid: "
    if details.get("kind") or details.get("name"):
        subject = f'The {details.get("kind", "")} "{details.get("name", "")}" is invalid: '
    if len(error.causes) == 1:
        return subject + str(error.causes[0])
    return subject + "".join(f"\n* {cause}" for cause in error.causes)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0, or 1 for any failure (`exec` and `wait` may say otherwise)."""
    if argv is None:  # as a program; for a caller in the same process its own handler stays
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["__complete"]:  # asked by the scripts of `completion`
        from kubectl.cli.completing import complete  # here: no other command needs it

        sys.stdout.write(complete(words[1:]))
        return
    # Everything after `--` goes to the remote command (exec) untouched.
    at = words.index("--") if "--" in words else len(words)
    words, remote_words = words[:at], words[at + 1 :]
    parser = build_parser(load_commands(words))
    if not words:
        parser.print_help()
        return
    args = parser.parse_args(words)
    if remote_words:
        args.words = remote_words
    try:
        args.command.run(make_context(args), args)
    except ExitCode as code:
        sys.exit(code.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except ExceptionGroup as group:
        for error in group.exceptions:
            _report(error, alone=len(group.exceptions) == 1)
        sys.exit(args.command.failure_code)
    except (StatusError, Unreachable, UsageError, UnknownType, ConfigError, JSONPathError, OSError) as error:
        _report(error)
        sys.exit(args.command.failure_code)


def _report(error: BaseException, *, alone: bool = True) -> None:
    text = describe_failure(error, alone=alone)
    head, colon, rest = text.partition(":")
    if head.lower().startswith("error"):
        text = colour(head + colon, "red", sys.stderr) + rest
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
