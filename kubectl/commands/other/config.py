"""`config`: shows the kubeconfig."""

from __future__ import annotations

import argparse

from kubeclient.access.config import kubeconfig_files, merge_kubeconfigs
from kubectl.api.client import Dict
from kubectl.input import candidates
from kubectl.invocation.command import Candidates, Command, CommandContext, Cursor, UsageError
from kubectl.invocation.flags import add_bool, add_output
from kubectl.invocation.parser import choice
from kubectl.output.printers import printer_of, table

_SECRETS = ("token", "password")
_DATA = ("certificate-authority-data", "client-certificate-data", "client-key-data")


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    view = verbs.add_parser("view", help="show the merged kubeconfig, secrets left out")
    add_output(view, default="yaml")
    add_bool(view, "--raw", default=False, help="with secrets and certificates")
    add_bool(view, "--minify", default=False, help="only what the current context uses")
    view.set_defaults(action=_view)
    current = verbs.add_parser("current-context", help="show the name of the current context")
    current.set_defaults(action=_current)
    contexts = verbs.add_parser("get-contexts", help="list the contexts")
    contexts.add_argument(
        "-o", "--output", default="", type=choice("", "name", refusal="output must be one of '' or 'name'")
    )
    contexts.set_defaults(action=_contexts)
    clusters = verbs.add_parser("get-clusters", help="list the clusters")
    clusters.set_defaults(action=lambda context, args: _names(context, args, "clusters"))
    users = verbs.add_parser("get-users", help="list the users")
    users.set_defaults(action=lambda context, args: _names(context, args, "users"))


def run(context: CommandContext, args: argparse.Namespace) -> None:
    args.action(context, args)


def _merged(args: argparse.Namespace) -> Dict:
    """The merged kubeconfig; an empty one where there is no file."""
    path = getattr(args, "kubeconfig", None)
    return merge_kubeconfigs([file for file in kubeconfig_files(path) if path or file.exists()])


def _current(context: CommandContext, args: argparse.Namespace) -> None:
    name = _merged(args)["current-context"]
    if not name:
        raise UsageError("current-context is not set")
    context.print(name)


def _view(context: CommandContext, args: argparse.Namespace) -> None:
    merged = _merged(args)
    if args.minify:
        config = context.config
        used = {"clusters": config.cluster, "contexts": config.context, "users": config.user}
        for section, name in used.items():
            merged[section] = [entry for entry in merged[section] if entry["name"] == name]
        merged["current-context"] = config.context
    if not args.raw:
        merged = {
            **merged,
            **{section: [_redacted(entry) for entry in merged[section]] for section in ("clusters", "users")},
        }
    context.out.write(printer_of(args)(merged))


def _redacted(entry: Dict) -> Dict:
    result = dict(entry)
    for section in ("cluster", "user"):
        if section in entry:
            result[section] = {key: _hidden(key, value) for key, value in (entry[section] or {}).items()}
    return result


def _hidden(key: str, value: object) -> object:
    if key in _DATA:
        return "DATA+OMITTED"
    return "REDACTED" if key in _SECRETS else value


def _names(context: CommandContext, args: argparse.Namespace, section: str) -> None:
    context.print("\n".join(["NAME", *(entry["name"] for entry in _merged(args)[section])]))


def _contexts(context: CommandContext, args: argparse.Namespace) -> None:
    merged = _merged(args)
    if args.output:
        for entry in merged["contexts"]:
            context.print(entry["name"])
        return
    rows = []
    for entry in merged["contexts"]:
        inner = entry.get("context") or {}
        mark = "*" if entry["name"] == merged["current-context"] else ""
        rows.append([mark, entry["name"], inner.get("cluster", ""), inner.get("user", ""), inner.get("namespace", "")])
    context.out.write(table(["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"], rows))


def _complete(cursor: Cursor) -> Candidates:
    """Completes a context, for the sub-verbs that are about contexts."""
    return Candidates(candidates.contexts(cursor.options) if "context" in cursor.path[-1] and not cursor.words else ())


COMMAND = Command(
    "config", "Show the kubeconfig", configure, run, completes=_complete, examples="  mini-kubectl config view --minify"
)
