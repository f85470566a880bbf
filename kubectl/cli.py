"""The entry point: global flags, one sub-parser per verb, and how failures are worded."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from apimachinery.catalogue import collect
from apimachinery.errors import StatusError
from kubeclient.config import ConfigError, load_config
from kubectl.client import Unreachable
from kubectl.command import Command, Context, ExitCode, UsageError, colour
from kubectl.commands._arguments import duration
from kubectl.discovery import UnknownType
from kubectl.jsonpath import JSONPathError


class _Parser(argparse.ArgumentParser):
    """Errors on one line with exit code 1, as kubectl's."""

    def error(self, message: str) -> NoReturn:
        self.exit(
            1, f"{colour('error:', 'red', sys.stderr)} {message}\nSee '{self.prog} --help' for help and examples.\n"
        )

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """A flag with an optional value takes it only behind `=`, as kubectl's: `get --no-headers pods`."""
        return super().parse_known_args([self._with_value(word) for word in args or ()], namespace)

    def _with_value(self, word: str) -> str:
        action = self._option_string_actions.get(word)
        return f"{word}={action.const}" if action is not None and action.nargs == "?" else word


def build_parser(commands: dict[str, Command]) -> _Parser:
    """The whole command line; global flags may stand before or after the verb."""
    parser = _Parser(
        prog="mini-kubectl",
        description="Controls a Kubernetes cluster.",
        epilog="Use 'mini-kubectl VERB --help' for a verb's flags and examples.",
        parents=[_global_flags(argparse.SUPPRESS)],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=_Parser)
    for command in sorted(commands.values(), key=lambda command: command.name):
        sub = verbs.add_parser(
            command.name,
            aliases=command.aliases,
            help=command.help,
            description=command.help + ".",
            epilog=f"examples:\n{command.examples}" if command.examples else None,
            parents=[_global_flags(argparse.SUPPRESS)],
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.configure(sub)
        sub.set_defaults(command=command)
    return parser


def _global_flags(default: object) -> _Parser:
    flags = _Parser(add_help=False, allow_abbrev=False, argument_default=default)
    group = flags.add_argument_group("connection")
    group.add_argument("--kubeconfig", metavar="FILE", help="instead of $KUBECONFIG or ~/.kube/config")
    group.add_argument("--context", metavar="NAME", help="a context of the kubeconfig instead of its current one")
    group.add_argument("-n", "--namespace", metavar="NAME", help="instead of the context's namespace")
    group.add_argument("-s", "--server", metavar="URL", help="address of the API server")
    group.add_argument("--token", help="bearer token")
    group.add_argument("--insecure-skip-tls-verify", action="store_true", help="accept any server certificate")
    group.add_argument("--request-timeout", type=duration, metavar="TIME", help="give up on one request, e.g. 10s")
    return flags


def make_context(args: argparse.Namespace) -> Context:
    """Raises: ConfigError."""
    given = vars(args)
    config = load_config(given.get("kubeconfig"), given.get("context"))
    if server := given.get("server"):
        config = replace(config, server=server)
    if token := given.get("token"):
        config = replace(config, token=token, cert_file="", cert_data="", key_file="", key_data="")
    if given.get("insecure_skip_tls_verify"):
        config = replace(config, insecure=True, ca_file="", ca_data="")
    namespace = given.get("namespace") or config.namespace
    return Context(config, namespace, bool(given.get("namespace")), given.get("request_timeout") or None)


def describe_failure(error: BaseException) -> str:
    """What kubectl prints for an error."""
    if isinstance(error, StatusError):
        if error.reason == "Invalid":
            return _describe_invalid(error)
        return f"Error from server ({error.reason}): {error.message}"
    if isinstance(error, Unreachable):
        return str(error)
    return f"error: {error}"


def _describe_invalid(error: StatusError) -> str:
    """A line per bad field, where there are several."""
    details = error.details or {}
    if not error.causes:
        return f"The request is invalid: {error.message}"
    subject = f'The {details.get("kind", "object")} "{details.get("name", "")}" is invalid: '
    if len(error.causes) == 1:
        return subject + str(error.causes[0])
    return subject + "".join(f"\n* {cause}" for cause in error.causes)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0, or 1 for any failure (`exec` and `wait` may say otherwise)."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    args, words = _parse(build_parser(collect("kubectl.commands", "COMMAND", Command)), argv)
    if words:
        args.words = words
    try:
        args.command.run(make_context(args), args)
    except ExitCode as code:
        sys.exit(code.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except ExceptionGroup as group:
        for error in group.exceptions:
            _report(error)
        sys.exit(1)
    except (StatusError, Unreachable, UsageError, UnknownType, ConfigError, JSONPathError, OSError) as error:
        _report(error)
        sys.exit(1)


def _parse(parser: _Parser, argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Everything after `--` goes to the remote command (exec) untouched."""
    words = list(sys.argv[1:] if argv is None else argv)
    tail: list[str] = []
    if "--" in words:
        at = words.index("--")
        words, tail = words[:at], words[at + 1 :]
    return parser.parse_args(words), tail


def _report(error: BaseException) -> None:
    text = describe_failure(error)
    head, colon, rest = text.partition(":")
    if head.lower().startswith("error"):
        text = colour(head + colon, "red", sys.stderr) + rest
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
