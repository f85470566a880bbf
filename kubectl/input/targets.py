"""Finds the objects that the command line means: by TYPE and NAME, by a selector, by a manifest."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

from apimachinery.errors import BadRequest, NotFound
from kubectl.api.client import Dict
from kubectl.api.discovery import ResourceType, UnknownType
from kubectl.input.manifests import Manifest, add_file_arguments, read_manifests
from kubectl.invocation.command import CommandContext, Failures, UsageError
from kubectl.invocation.flags import add_all_namespaces, add_selector

NOTHING_GIVEN = """\
You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'"""


@dataclass(frozen=True)
class Target:
    """An object that is named on the command line; `name` is "" for a whole collection."""

    kind: ResourceType
    name: str = ""
    namespace: str = ""

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.name)

    @property
    def collection(self) -> str:
        """The path to which such objects are posted."""
        return self.kind.path(self.namespace)

    @property
    def display(self) -> str:
        return f"{self.kind.display}/{self.name}"

    def subresource(self, name: str) -> str:
        """The path of a subresource, or of the object itself where `name` is ""."""
        return self.kind.path(self.namespace, self.name, name)


def add_targets(
    parser: argparse.ArgumentParser,
    verb: str,
    *,
    words: str = "TYPE NAME ... or TYPE/NAME ...",
    selector: bool = True,
    fields: bool = False,
    namespaces: bool = False,
    everything: bool = False,
) -> None:
    """Adds words, -f, -k and -R, which name objects; and, as asked for, -l, --field-selector, -A and --all."""
    parser.add_argument("targets", nargs="*", metavar="TYPE", help=words)
    add_file_arguments(parser, verb)
    if selector:
        add_selector(parser, fields=fields)
    if namespaces:
        add_all_namespaces(parser)
    if everything:
        parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")


def resolve(context: CommandContext, manifest: Manifest) -> Target:
    """The object's type, and the namespace it goes to.

    Raises: UsageError for a kind the server lacks, or a namespace that contradicts --namespace.
    """
    obj = manifest.obj
    try:
        kind = context.discovery.by_kind(str(obj["apiVersion"]), str(obj["kind"]))
    except UnknownType as error:
        raise UsageError(
            f'resource mapping not found for name: "{manifest.name}" namespace: "{manifest.namespace}" '
            f'from "{manifest.source}": {error}\nensure CRDs are installed first'
        ) from error
    if not kind.namespaced:
        return Target(kind, manifest.name)
    if manifest.namespace and context.given_namespace and manifest.namespace != context.namespace:
        raise UsageError(
            f'the namespace from the provided object "{manifest.namespace}" does not match the namespace '
            f"\"{context.namespace}\". You must pass '--namespace={manifest.namespace}' to perform this operation."
        )
    return Target(kind, manifest.name, manifest.namespace or context.namespace)


def parse_targets(
    context: CommandContext, args: argparse.Namespace, words: list[str] | None = None, *, required: str = NOTHING_GIVEN
) -> list[Target]:
    """The objects and collections that the arguments of `add_targets` name; `words` stand for its `targets`.

    `required` is the refusal of no words. Raises: UsageError for a mix of the forms, or for names beside -l or --all,
    UnknownType for an unknown type.
    """
    options = vars(args)
    targets = named(
        context,
        args.targets if words is None else words,
        all_namespaces=bool(options.get("all_namespaces")),
        required=required,
    )
    if (options.get("selector") or options.get("all")) and any(target.name for target in targets):
        raise UsageError("name cannot be provided when a selector is specified")
    return targets


def named(
    context: CommandContext, words: list[str], *, all_namespaces: bool = False, required: str = NOTHING_GIVEN
) -> list[Target]:
    """Reads `pods`, `pod web db`, `pod/web svc/web`, `pods,svc` and `all`; `required` is the refusal of no words.

    Raises: UsageError for a mix of the forms, UnknownType for an unknown type.
    """
    if not words:
        raise UsageError(required)
    slashed = ["/" in word for word in words]
    if any(slashed):
        if not all(slashed):
            raise UsageError(
                "there is no need to specify a resource type as a separate argument when passing arguments in "
                "resource/name form (e.g. 'mini-kubectl get resource/<resource_name>' instead of 'mini-kubectl get "
                "resource resource/<resource_name>'"
            )
        pairs = [word.split("/") for word in words]
        if any(len(pair) > 2 for pair in pairs):
            raise UsageError("arguments in resource/name form may not have more than one slash")
        return [_named(context, context.discovery.find(kind), name) for kind, name in pairs]
    kinds = [kind for part in words[0].split(",") for kind in context.discovery.find_all(part)]
    names = words[1:]
    if names and all_namespaces:
        raise UsageError("a resource cannot be retrieved by name across all namespaces")
    if not names:
        return [Target(kind, "", "" if all_namespaces or not kind.namespaced else context.namespace) for kind in kinds]
    return [_named(context, kind, name) for kind in kinds for name in names]


def _named(context: CommandContext, kind: ResourceType, name: str) -> Target:
    if not name:
        raise UsageError("arguments in resource/name form must have a single resource and name")
    return Target(kind, name, context.namespace if kind.namespaced else "")


def split_changes(words: list[str], is_change: Callable[[str], bool], what: str) -> tuple[list[str], list[str]]:
    """Splits words into those that name objects and the changes behind them. Raises: UsageError for another order."""
    first = next((i for i, word in enumerate(words) if is_change(word)), len(words))
    for word in words[first:]:
        if not is_change(word):
            raise UsageError(f"all resources must be specified before {what} changes: {word}")
    return words[:first], words[first:]


def list_objects(
    context: CommandContext,
    target: Target,
    selector: str = "",
    field_selector: str = "",
    accept: str = "",
    **params: str,
) -> Dict:
    """The List, or Table, of a collection. Raises: StatusError that says what was looked for."""
    query = {"labelSelector": selector, "fieldSelector": field_selector, **params}
    try:
        return context.api.list(target.path, query, accept)
    except (BadRequest, NotFound) as error:
        kind = target.kind
        types = f'"{kind.group}/{kind.version}, Resource={kind.plural}"'
        action = f"Unable to list {types}"
        if selector or field_selector:
            action = f"Unable to find {types} that match label selector"
            action += f' "{selector}", field selector "{field_selector}"'
        error.message = f"{action}: {error.message}"
        raise


def items_of(target: Target, collection: Dict) -> Iterator[tuple[Target, Dict]]:
    """The objects of a List, each with its type, which lists leave out."""
    for item in collection.get("items") or ():
        meta = item["metadata"]
        obj = {"apiVersion": target.kind.api_version, "kind": target.kind.kind, **item}
        yield Target(target.kind, meta["name"], meta.get("namespace", "")), obj


def select(
    context: CommandContext,
    args: argparse.Namespace,
    failed: Failures | None = None,
    *,
    words: list[str] | None = None,
    everything: bool | None = None,
    read: bool = True,
) -> Iterator[tuple[Target, Dict]]:
    """Yields every object that the arguments mean, with its present state.

    Uses the arguments that `add_targets` adds, as far as the verb has them; `words` and `everything` stand for its
    `targets` and `all`. Without `read`, objects that are named come without their state and need not exist.
    An object that the server refuses goes to `failed`, and the others follow all the same; without `failed` the refusal
    is raised. Raises: UsageError, StatusError.
    """
    options = vars(args)
    selector, field_selector = options.get("selector") or "", options.get("field_selector") or ""
    if options.get("filename"):
        for manifest in read_manifests(args):
            yield from _read(context, resolve(context, manifest), failed)
        return
    for target in parse_targets(context, args, words):
        if target.name and not read:
            yield target, {}
        elif target.name:
            yield from _read(context, target, failed)
        elif selector or field_selector or (options.get("all") if everything is None else everything):
            yield from items_of(target, list_objects(context, target, selector, field_selector))
        else:
            raise UsageError("resource(s) were provided, but no name was specified")


def _read(context: CommandContext, target: Target, failed: Failures | None) -> Iterator[tuple[Target, Dict]]:
    with failed.caught() if failed is not None else nullcontext():
        yield target, context.api.request("GET", target.path)
