"""Asks the cluster for candidates of words: types, names of objects, containers."""

from __future__ import annotations

from kubeclient.access.config import kubeconfig_files, merge_kubeconfigs
from kubectl.api.client import Dict
from kubectl.input.pods import container_names, find_pods
from kubectl.input.targets import named
from kubectl.invocation.command import Candidates, CommandContext, Cursor

MOST_NAMES = 500
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"


def types_and_names(cursor: Cursor) -> Candidates:
    """Completes TYPE, then names; or TYPE/NAME."""
    context, words = cursor.context, cursor.words
    if "/" in cursor.current:
        return Candidates(_slashed(cursor))
    if not words:
        return Candidates(types(context))
    if "/" in words[0]:
        return Candidates(f"{name}/" for name in types(context))
    return Candidates(name for name in names(context, words[0].split(",")[0]) if name not in words[1:])


def types_names_and_all(cursor: Cursor) -> Candidates:
    """Completes as `types_and_names`, and the category "all"."""
    answer = types_and_names(cursor)
    return answer if cursor.words or "/" in cursor.current else Candidates([*answer, "all"])


def one_pod(cursor: Cursor) -> Candidates:
    """Completes a pod, or TYPE/NAME, as the first word."""
    if "/" in cursor.current:
        return Candidates(_slashed(cursor))
    return Candidates(() if cursor.words else names(cursor.context, "pods"))


def nodes(cursor: Cursor) -> Candidates:
    return Candidates(names(cursor.context, "nodes"))


def _slashed(cursor: Cursor) -> list[str]:
    kind = cursor.current.partition("/")[0]
    return [f"{kind}/{name}" for name in names(cursor.context, kind)]


def types(context: CommandContext) -> list[str]:
    return sorted({kind.plural for kind in context.discovery.types if "list" in kind.verbs})


def names(context: CommandContext, kind: str) -> list[str]:
    """The names of the objects of a type, in the namespace of the context."""
    [target] = named(context, [kind])
    answer = context.api.request("GET", target.path, params={"limit": MOST_NAMES}, accept=METADATA)
    return sorted(item["metadata"]["name"] for item in answer.get("items") or ())


def containers(context: CommandContext, pod: str) -> list[str]:
    return container_names(find_pods(context, [pod], timeout_seconds=0)[0])


def contexts(options: Dict) -> list[str]:
    """The contexts of the kubeconfig that the options name."""
    return sorted(entry["name"] for entry in merge_kubeconfigs(kubeconfig_files(options.get("kubeconfig")))["contexts"])
