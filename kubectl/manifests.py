"""Objects from files, folders, URLs and standard input, and objects named on the command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from apimachinery.errors import NotFound
from kubectl.command import Context, UsageError
from kubectl.discovery import ResourceType, UnknownType

Dict = dict[str, Any]

_ENDINGS = (".json", ".yaml", ".yml")


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML with JSON's types: timestamps stay text, duplicate keys are errors, numbers are no dates."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} already set in map", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Manifest:
    """One object and where it was read."""

    obj: Dict
    source: str

    @property
    def name(self) -> str:
        return str(self.obj.get("metadata", {}).get("name") or "")

    @property
    def namespace(self) -> str:
        return str(self.obj.get("metadata", {}).get("namespace") or "")


def add_file_arguments(parser: argparse.ArgumentParser, verb: str, *, required: bool = False) -> None:
    parser.add_argument(
        "-f", "--filename", action="append", default=[], required=required, metavar="FILE",
        help=f"file, folder, URL or - (standard input) with the objects to {verb}; may be repeated",
    )  # fmt: skip
    parser.add_argument("-R", "--recursive", action="store_true", help="also the folders below a folder given with -f")


def read_manifests(sources: list[str], *, recursive: bool = False) -> list[Manifest]:
    """All objects of all sources; a List counts as its items.

    Raises: UsageError for a source that cannot be read or holds no objects.
    """
    found = [
        manifest
        for source in sources
        for name, text in _texts(source, recursive)
        for manifest in parse_manifests(text, name)
    ]
    if not found:
        raise UsageError(
            "no objects passed to apply" if sources == ["-"] else f"no objects found in {', '.join(sources)}"
        )
    return found


def _texts(source: str, recursive: bool) -> Iterator[tuple[str, str]]:
    if source == "-":
        yield "STDIN", sys.stdin.read()
        return
    if source.startswith(("http://", "https://")):
        yield source, _fetch(source)
        return
    path = Path(source)
    if not path.exists():
        raise UsageError(f'the path "{source}" does not exist')
    files = [path]
    if path.is_dir():
        entries = path.rglob("*") if recursive else path.iterdir()
        files = sorted(entry for entry in entries if entry.is_file() and entry.suffix in _ENDINGS)
        if not files:
            raise UsageError(f"error reading [{source}]: recognized file extensions are {list(_ENDINGS)}")
    for file in files:
        try:
            yield str(file), file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"error reading {file}: {error}") from error


def _fetch(url: str) -> str:
    try:
        response = httpx.get(url, follow_redirects=True, timeout=30)
    except httpx.HTTPError as error:
        raise UsageError(f"unable to read URL {url!r}: {error}") from error
    if response.status_code != 200:
        raise UsageError(f'unable to read URL "{url}", server reported {response.status_code}')
    return response.text


def parse_manifests(text: str, source: str) -> list[Manifest]:
    """Raises: UsageError for malformed YAML or JSON, and for documents that are no objects."""
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
        json.dumps(documents, allow_nan=False)
    except yaml.YAMLError as error:
        raise UsageError(f"error parsing {source}: error converting YAML to JSON: {_one_line(error)}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"error parsing {source}: not representable as JSON: {error}") from error
    found: list[Manifest] = []
    for document in documents:
        if document is None:
            continue
        found += _objects(document, source)
    return found


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"yaml: line {mark.line + 1}: {problem}" if mark else f"yaml: {problem}"


def _objects(document: object, source: str) -> Iterator[Manifest]:
    if not isinstance(document, dict):
        raise UsageError(f"error validating {source}: a manifest must be an object, not {type(document).__name__}")
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _objects(item, source)
        return
    missing = [f"{field} not set" for field in ("apiVersion", "kind") if not document.get(field)]
    if missing:
        raise UsageError(f"error validating {source}: error validating data: [{', '.join(missing)}]")
    if not isinstance(document.get("metadata", {}), dict):
        raise UsageError(f"error validating {source}: metadata must be an object")
    yield Manifest(document, source)


def resolve(context: Context, manifest: Manifest) -> tuple[ResourceType, str]:
    """The object's type and the namespace it goes to.

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
        return kind, ""
    if manifest.namespace and context.namespace_given and manifest.namespace != context.namespace:
        raise UsageError(
            f'the namespace from the provided object "{manifest.namespace}" does not match the namespace '
            f"\"{context.namespace}\". You must pass '--namespace={manifest.namespace}' to perform this operation."
        )
    return kind, manifest.namespace or context.namespace


@dataclass(frozen=True)
class Target:
    """An object named on the command line; `name` is "" for a whole collection."""

    kind: ResourceType
    name: str = ""
    namespace: str = ""

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.name)

    @property
    def display(self) -> str:
        return f"{self.kind.display}/{self.name}"


def parse_targets(context: Context, words: list[str], *, all_namespaces: bool = False) -> list[Target]:
    """`pods`, `pod web db`, `pod/web svc/web`, `pods,svc`, `all`.

    Raises: UsageError for a mix of the forms, UnknownType for an unknown type.
    """
    if not words:
        raise UsageError('You must specify the type of resource to use. Use "mini-kubectl api-resources" for a list.')
    slashed = ["/" in word for word in words]
    if any(slashed):
        if not all(slashed):
            raise UsageError(
                "there is no need to specify a resource type as a separate argument when passing arguments in "
                "resource/name form (e.g. 'mini-kubectl get resource/<resource_name>' instead of 'mini-kubectl get "
                "resource resource/<resource_name>'"
            )
        pairs = [word.split("/", 1) for word in words]
        return [_target(context, context.discovery.find(kind), name) for kind, name in pairs]
    kinds = [kind for part in words[0].split(",") for kind in _kinds(context, part)]
    names = words[1:]
    if names and all_namespaces:
        raise UsageError("a resource cannot be retrieved by name across all namespaces")
    if not names:
        return [Target(kind, "", "" if all_namespaces or not kind.namespaced else context.namespace) for kind in kinds]
    return [_target(context, kind, name) for kind in kinds for name in names]


def _kinds(context: Context, word: str) -> list[ResourceType]:
    try:
        return [context.discovery.find(word)]
    except UnknownType:
        if found := context.discovery.category(word):
            return found
        raise


def _target(context: Context, kind: ResourceType, name: str) -> Target:
    if not name:
        raise UsageError("arguments in resource/name form must have a single resource and name")
    return Target(kind, name, context.namespace if kind.namespaced else "")


def select(
    context: Context,
    words: list[str],
    files: list[str],
    *,
    selector: str = "",
    field_selector: str = "",
    all_namespaces: bool = False,
    recursive: bool = False,
    all_objects: bool = False,
) -> Iterator[tuple[Target, Dict]]:
    """Every object the arguments mean, with its present state.

    Raises: NotFound for a named object that does not exist, UsageError.
    """
    if files:
        for manifest in read_manifests(files, recursive=recursive):
            kind, namespace = resolve(context, manifest)
            target = Target(kind, manifest.name, namespace)
            yield target, context.api.request("GET", target.path)
        return
    targets = parse_targets(context, words, all_namespaces=all_namespaces)
    for target in targets:
        if target.name:
            if selector:
                raise UsageError("name cannot be provided when a selector is specified")
            yield target, context.api.request("GET", target.path)
        elif selector or field_selector or all_objects:
            params = {"labelSelector": selector, "fieldSelector": field_selector}
            for item in context.api.list(target.path, params)["items"]:
                item.setdefault("apiVersion", target.kind.api_version)
                item.setdefault("kind", target.kind.kind)
                yield Target(target.kind, item["metadata"]["name"], item["metadata"].get("namespace", "")), item
        else:
            raise UsageError("resource(s) were provided, but no name was specified")


__all__ = [
    "Manifest", "NotFound", "Target", "add_file_arguments", "parse_manifests", "parse_targets", "read_manifests",
    "resolve", "select",
]  # fmt: skip
