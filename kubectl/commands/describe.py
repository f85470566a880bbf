"""`describe`: an object for people, with what belongs to it and its events."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from apimachinery.errors import NotFound
from kubectl.api.discovery import ResourceType
from kubectl.cli.command import Command, Context, UsageError
from kubectl.commands._arguments import add_all_namespaces, add_selector
from kubectl.input.manifests import Target, add_file_arguments, list_objects, parse_targets, select

Dict = dict[str, Any]
Describer = Callable[[Context, Dict], str]


def _describer(kind: ResourceType) -> Describer:
    # Imported on use: other verbs need not wait for it.
    from kubectl.output.describe import cluster, generic, node, pod, policy, workload

    own: dict[str, Describer] = {
        "configmaps": cluster.describe_configmap,
        "endpoints": cluster.describe_endpoints,
        "endpointslices.discovery.k8s.io": cluster.describe_endpointslice,
        "serviceaccounts": cluster.describe_serviceaccount,
        "deployments.apps": workload.describe_deployment,
        "limitranges": policy.describe_limitrange,
        "namespaces": cluster.describe_namespace,
        "nodes": node.describe_node,
        "pods": pod.describe_pod,
        "priorityclasses.scheduling.k8s.io": policy.describe_priorityclass,
        "replicasets.apps": workload.describe_replicaset,
        "replicationcontrollers": workload.describe_replicaset,
        "secrets": cluster.describe_secret,
        "services": cluster.describe_service,
    }
    return own.get(kind.full_name) or (lambda context, obj: generic.describe_any(context, kind, obj))


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE", help="TYPE, TYPE NAME_PREFIX, or TYPE/NAME ...")
    add_file_arguments(parser, "describe")
    add_selector(parser)
    add_all_namespaces(parser)


def run(context: Context, args: argparse.Namespace) -> None:
    found = list(_find(context, args))
    if not found:
        context.say(f"No resources found in {context.namespace} namespace.")
        return
    texts = []
    for target, obj in found:
        texts.append(_describer(target.kind)(context, obj))
    context.out.write("\n\n".join(texts))


def _find(context: Context, args: argparse.Namespace) -> list[tuple[Target, Dict]]:
    if args.filename:
        return list(select(context, [], args.filename, recursive=args.recursive))
    found: list[tuple[Target, Dict]] = []
    for target in parse_targets(
        context,
        args.targets,
        all_namespaces=args.all_namespaces,
        required="You must specify the type of resource to describe. "
        'Use "mini-kubectl api-resources" for a complete list of supported resources.',
    ):
        if target.name and args.selector:
            raise UsageError("name cannot be provided when a selector is specified")
        if target.name:
            found += _named(context, target)
            continue
        for item in list_objects(context, target, args.selector)["items"]:
            found.append(_with_type(target, item))
    return found


def _named(context: Context, target: Target) -> list[tuple[Target, Dict]]:
    try:
        return [(target, context.api.request("GET", target.path))]
    except NotFound:
        # As kubectl does: where no object has the name, all whose names start with it.
        items = context.api.list(target.kind.path(target.namespace))["items"]
        found = [_with_type(target, item) for item in items if item["metadata"]["name"].startswith(target.name)]
        if not found:
            raise
        return found


def _with_type(target: Target, item: Dict) -> tuple[Target, Dict]:
    meta = item["metadata"]
    obj = {"apiVersion": target.kind.api_version, "kind": target.kind.kind} | item
    return Target(target.kind, meta["name"], meta.get("namespace", "")), obj


COMMAND = Command(
    "describe",
    "Show an object in detail, with its events",
    configure,
    run,
    examples="""\
  mini-kubectl describe pod web
  mini-kubectl describe deployment/web
  mini-kubectl describe nodes""",
)
