"""`cluster-info`: shows where the control plane and its services are."""

from __future__ import annotations

import argparse
import sys

from kubectl.api.client import Dict
from kubectl.invocation.command import Command, CommandContext, no_flags
from kubectl.invocation.parser import colour

SERVICES = "kubernetes.io/cluster-service=true"


def run(context: CommandContext, args: argparse.Namespace) -> None:
    server = context.config.server
    path = context.discovery.find("services").path(context.given_namespace or "kube-system")
    _print_place(context, "Kubernetes control plane", server)
    for service in context.api.list(path, {"labelSelector": SERVICES})["items"]:
        meta = service["metadata"]
        name = (meta.get("labels") or {}).get("kubernetes.io/name") or meta["name"]
        _print_place(context, name, server + proxy_path(service))
    context.print("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.")


def proxy_path(service: Dict) -> str:
    """The path by which the API server leads to the Service; its first port is named where it has a name."""
    meta, ports = service["metadata"], service["spec"].get("ports") or [{}]
    scheme = "https:" if ports[0].get("port") == 443 else ""
    port = ports[0].get("name") or ""
    name = f"{scheme}{meta['name']}{':' + port if port or scheme else ''}"
    return f"/api/v1/namespaces/{meta['namespace']}/services/{name}/proxy"


def _print_place(context: CommandContext, name: str, url: str) -> None:
    context.print(f"{colour(name, 'green', sys.stdout)} is running at {colour(url, 'yellow', sys.stdout)}")


COMMAND = Command(
    "cluster-info",
    "Show where the cluster is",
    no_flags,
    run,
    examples="""\
  mini-kubectl cluster-info""",
)
