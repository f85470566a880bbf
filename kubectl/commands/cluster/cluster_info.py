"""`cluster-info`: where the control plane and its services are, and a dump of what they hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from apimachinery.errors import StatusError
from kubectl.api.client import Dict
from kubectl.api.discovery import UnknownType
from kubectl.input.pods import container_names
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, colour
from kubectl.invocation.flags import add_all_namespaces, add_output
from kubectl.output.printers import Printer, object_printer

SERVICES = "kubernetes.io/cluster-service=true"
# of each namespace; the logs of its pods follow
NAMESPACED = (
    "events", "replicationcontrollers", "services", "daemonsets.apps", "deployments.apps", "replicasets.apps", "pods",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(dump=False)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    dump = verbs.add_parser("dump", help="Show all that helps to find out what is wrong")
    add_output(dump)
    add_all_namespaces(dump)
    dump.add_argument("--namespaces", default="", help="these, with commas, besides kube-system")
    dump.add_argument("--output-directory", default="", metavar="FOLDER", help="files there instead of one stream")
    dump.set_defaults(dump=True)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if args.dump:
        _dump(context, args)
        return
    server = context.config.server
    services = context.discovery.find("services")
    found = context.api.list(services.path(context.given_namespace or "kube-system"), {"labelSelector": SERVICES})[
        "items"
    ]
    _say(context, "Kubernetes control plane", server)
    for service in found:
        meta = service["metadata"]
        name = (meta.get("labels") or {}).get("kubernetes.io/name") or meta["name"]
        _say(context, name, server + proxy_path(service))
    context.print("\nTo further debug and diagnose cluster problems, use 'mini-kubectl cluster-info dump'.")


def proxy_path(service: Dict) -> str:
    """By which the API server leads to it; its one port is named where it has a name."""
    meta, ports = service["metadata"], service["spec"].get("ports") or [{}]
    scheme = "https:" if ports[0].get("port") == 443 else ""
    port = ports[0].get("name") or ""
    name = f"{scheme}{meta['name']}{':' + port if port or scheme else ''}"
    return f"/api/v1/namespaces/{meta['namespace']}/services/{name}/proxy"


def _say(context: CommandContext, name: str, url: str) -> None:
    context.print(f"{colour(name, 'green', sys.stdout)} is running at {colour(url, 'yellow', sys.stdout)}")


def _dump(context: CommandContext, args: argparse.Namespace) -> None:
    show = object_printer(args.output or "json")
    ending = "yaml" if args.output == "yaml" else "json"
    nodes = context.discovery.find("nodes")
    _write(context, args, f"nodes.{ending}", show(_listed(context, nodes.path(), "NodeList")))
    for namespace in _namespaces(context, args):
        for word in NAMESPACED:
            try:
                kind = context.discovery.find(word)
                found = _listed(context, kind.path(namespace), f"{kind.kind}List")
            except (StatusError, UnknownType):
                continue  # the server has no such kind, or keeps it from us: the rest is still worth having
            _write(context, args, f"{namespace}/{kind.plural}.{ending}", show(found))
        _logs(context, args, namespace, show)


def _listed(context: CommandContext, path: str, kind: str) -> Dict:
    return {"kind": kind, **context.api.list(path)}


def _namespaces(context: CommandContext, args: argparse.Namespace) -> list[str]:
    if args.all_namespaces:
        path = context.discovery.find("namespaces").path()
        return [item["metadata"]["name"] for item in context.api.list(path)["items"]]
    return [*dict.fromkeys(["kube-system", *(filter(None, args.namespaces.split(",")) or [context.namespace])])]


def _logs(context: CommandContext, args: argparse.Namespace, namespace: str, show: Printer) -> None:
    kind = context.discovery.find("pods")
    for pod in context.api.list(kind.path(namespace))["items"]:
        name = pod["metadata"]["name"]
        text = ""
        for container in container_names(pod):
            text += f"==== START logs for container {container} of pod {namespace}/{name} ====\n"
            try:
                text += context.api.text(kind.path(namespace, name, "log"), {"container": container})
            except StatusError as error:
                text += f"Request log error: {error}\n"
            text += f"==== END logs for container {container} of pod {namespace}/{name} ====\n"
        _write(context, args, f"{namespace}/{name}/logs.txt", text)


def _write(context: CommandContext, args: argparse.Namespace, name: str, text: str) -> None:
    if not args.output_directory or args.output_directory == "-":
        context.out.write(text)
        return
    file = Path(args.output_directory, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


COMMAND = Command(
    "cluster-info",
    "Show where the cluster is, or dump what it holds",
    configure,
    run,
    examples="""\
  mini-kubectl cluster-info
  # Everything of some namespaces, in files
  mini-kubectl cluster-info dump --namespaces=default,shop --output-directory=/tmp/cluster""",
)
