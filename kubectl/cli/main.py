"""The entry point: global flags, one sub-parser per verb, and how failures are worded."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from apimachinery.errors import StatusError
from kubeclient.config import ClientConfig, ConfigError, NoConfig, load_config
from kubectl.api.client import Unreachable
from kubectl.api.discovery import UnknownType
from kubectl.cli.command import Command, Context, ExitCode, UsageError, colour
from kubectl.cli.overview import overview
from kubectl.cli.parser import CONNECTION, Parser
from kubectl.commands._arguments import duration
from kubectl.output.jsonpath import JSONPathError


def build_parser(commands: dict[str, Command]) -> Parser:
    """The whole command line; global flags may stand before or after the verb."""
    parser = _top_parser()
    parser.overview = lambda: overview(commands.values())
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=Parser)
    for command in sorted(commands.values(), key=lambda command: command.name):
        sub = verbs.add_parser(
            command.name,
            aliases=command.aliases,
            help=command.help,
            description=command.help + ".",
            epilog=f"Examples:\n{command.examples}" if command.examples else None,
            parents=[global_flags(argparse.SUPPRESS)],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.failure_code = command.failure_code
        command.configure(sub)
        _add_global_flags_below(sub)
        sub.set_defaults(command=command)
    return parser


def _add_global_flags_below(parser: argparse.ArgumentParser) -> None:
    """To sub-verbs: `rollout status deployment/web -n shop`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in {id(found): found for found in action.choices.values()}.values():
                sub._add_container_actions(global_flags(argparse.SUPPRESS))
                _add_global_flags_below(sub)


def _top_parser() -> Parser:
    return Parser(
        prog="mini-kubectl",
        description="Controls a Kubernetes cluster.",
        epilog="Use 'mini-kubectl VERB --help' for a verb's flags and examples.",
        parents=[global_flags(argparse.SUPPRESS)],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def global_flags(default: object) -> Parser:
    flags = Parser(add_help=False, argument_default=default)
    group = flags.add_argument_group(CONNECTION)
    group.add_argument("--kubeconfig", metavar="FILE", help="instead of $KUBECONFIG or ~/.kube/config")
    group.add_argument("--context", metavar="NAME", help="a context of the kubeconfig instead of its current one")
    group.add_argument("-n", "--namespace", metavar="NAME", help="instead of the context's namespace")
    group.add_argument("-s", "--server", metavar="URL", help="address of the API server")
    group.add_argument("--token", help="bearer token")
    group.add_argument("--insecure-skip-tls-verify", action="store_true", help="accept any server certificate")
    group.add_argument("--request-timeout", type=duration, metavar="TIME", help="give up on one request, e.g. 10s")
    return flags


def load_commands(words: Sequence[str]) -> dict[str, Command]:
    """The verb that `words` name, or all verbs where they name none: to import them all takes longer than most run."""
    verb = _top_parser().first_word(words)
    if verb.replace("-", "").isalpha():
        module = f"kubectl.commands.{verb.replace('-', '_')}"
        if find_spec(module) is not None:
            return {verb: import_module(module).COMMAND}
    from apimachinery.catalogue import collect

    return collect("kubectl.commands", "COMMAND", Command)


def make_context(args: argparse.Namespace) -> Context:
    """Nothing is read before a verb asks for it: some verbs need no cluster."""
    given = vars(args)
    return Context(
        load=lambda: _configuration(given),
        given_namespace=given.get("namespace") or "",
        request_timeout_seconds=given.get("request_timeout") or None,
    )


def _configuration(given: Mapping[str, Any]) -> ClientConfig:
    """Raises: ConfigError."""
    path = given.get("kubeconfig")
    if path and not Path(path).exists():
        raise ConfigError(f"stat {path}: no such file or directory")
    try:
        config = load_config(given.get("kubeconfig"), given.get("context"))
    except NoConfig:
        if not given.get("server"):
            raise
        config = ClientConfig(server="")
    if server := given.get("server"):
        server = server if "://" in server else f"http://{server}"
        config = replace(config, server=server)
    if token := given.get("token"):
        config = replace(config, token=token, cert_file="", cert_data="", key_file="", key_data="")
    if given.get("insecure_skip_tls_verify"):
        config = replace(config, insecure=True, ca_file="", ca_data="")
    return config


def describe_failure(error: BaseException, *, alone: bool = True) -> str:
    """What kubectl prints for an error, or for one of several."""
    if isinstance(error, StatusError):
        if error.code == 401:
            return f"error: You must be logged in to the server ({error.message})"
        if error.reason == "Invalid" and alone:
            return _describe_invalid(error)
        return f"Error from server ({error.reason}): {error.message}"
    if isinstance(error, Unreachable) or not alone:
        return str(error)
    return f"error: {error}"


def _describe_invalid(error: StatusError) -> str:
    """A line per bad field, where there are several."""
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
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    given = sys.argv[1:] if argv is None else argv
    if not given:
        build_parser(load_commands(given)).print_help()
        return
    if given[0] == "__complete":  # asked by the scripts of `completion`
        from kubectl.cli.completing import complete

        sys.stdout.write(complete(given[1:]))
        return
    args, words = _parse(build_parser(load_commands(given)), given)
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
            _report(error, alone=len(group.exceptions) == 1)
        sys.exit(args.command.failure_code)
    except (StatusError, Unreachable, UsageError, UnknownType, ConfigError, JSONPathError, OSError) as error:
        _report(error)
        sys.exit(args.command.failure_code)


def _parse(parser: Parser, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Everything after `--` goes to the remote command (exec) untouched."""
    words = list(argv)
    tail: list[str] = []
    if "--" in words:
        at = words.index("--")
        words, tail = words[:at], words[at + 1 :]
    return parser.parse_args(words), tail


def _report(error: BaseException, *, alone: bool = True) -> None:
    text = describe_failure(error, alone=alone)
    head, colon, rest = text.partition(":")
    if head.lower().startswith("error"):
        text = colour(head + colon, "red", sys.stderr) + rest
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
