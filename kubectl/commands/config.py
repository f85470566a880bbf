"""`config`: what the kubeconfig says."""

from __future__ import annotations

import argparse
from typing import Any

from kubeclient.config import kubeconfig_files, merge_kubeconfigs
from kubectl.command import Command, Context
from kubectl.commands._arguments import add_bool
from kubectl.printers import object_printer, table

Dict = dict[str, Any]

_SECRET = ("client-certificate-data", "client-key-data", "token", "password")


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    view = verbs.add_parser("view", help="show the merged kubeconfig, secrets left out")
    view.add_argument("-o", "--output", default="yaml", help="yaml, json, jsonpath=…")
    add_bool(view, "--raw", default=False, help="with secrets and certificates")
    add_bool(view, "--minify", default=False, help="only what the current context uses")
    view.set_defaults(action=_view)
    current = verbs.add_parser("current-context", help="show the name of the current context")
    current.set_defaults(action=lambda context, args: context.print(context.config.context))
    contexts = verbs.add_parser("get-contexts", help="list the contexts")
    contexts.set_defaults(action=_contexts)


def run(context: Context, args: argparse.Namespace) -> None:
    args.action(context, args)


def _merged(args: argparse.Namespace) -> Dict:
    return merge_kubeconfigs(kubeconfig_files(getattr(args, "kubeconfig", None)))


def _view(context: Context, args: argparse.Namespace) -> None:
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
    context.out.write(object_printer(args.output)(merged))


def _redacted(entry: Dict) -> Dict:
    result = dict(entry)
    for section in ("cluster", "user"):
        if section in entry:
            result[section] = {key: _hidden(key, value) for key, value in (entry[section] or {}).items()}
    return result


def _hidden(key: str, value: object) -> object:
    if key == "certificate-authority-data":
        return "DATA+OMITTED"
    return "REDACTED" if key in _SECRET else value


def _contexts(context: Context, args: argparse.Namespace) -> None:
    rows = []
    for entry in _merged(args)["contexts"]:
        inner = entry.get("context") or {}
        mark = "*" if entry["name"] == context.config.context else ""
        rows.append([mark, entry["name"], inner.get("cluster", ""), inner.get("user", ""), inner.get("namespace", "")])
    context.out.write(table(["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"], rows))


COMMAND = Command("config", "Show the kubeconfig", configure, run, examples="  mini-kubectl config view --minify")
