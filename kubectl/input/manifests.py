"""Objects from files, folders, URLs and standard input, and objects named on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError

from apimachinery.errors import BadRequest, NotFound, StatusError
from apimachinery.yaml import YamlError, read_documents
from kubectl.api.client import Dict, unreachable
from kubectl.api.discovery import ResourceType, UnknownType
from kubectl.input.kustomize import build as build_kustomization
from kubectl.invocation.context import CommandContext, UsageError

NOTHING_GIVEN = """\
You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'"""
FETCH_SECONDS = 30.0
_ENDINGS = (".json", ".yaml", ".yml")


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


class Kustomization(str):
    """A folder given with -k; it stands among the files given with -f."""

    __slots__ = ()


def add_file_arguments(parser: argparse.ArgumentParser, verb: str, *, required: bool = False) -> None:
    parser.add_argument(
        "-f", "--filename", action="append", default=[], required=required, metavar="FILE",
        help=f"file, folder, URL or - (standard input) with the objects to {verb}; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "-k", "--kustomize", action="append", dest="filename", type=Kustomization, metavar="DIR",
        help=f"folder with a kustomization whose objects to {verb}",
    )  # fmt: skip
    parser.add_argument("-R", "--recursive", action="store_true", help="also the folders below a folder given with -f")


def read_manifests(sources: list[str], verb: str = "", *, recursive: bool = False) -> list[Manifest]:
    """All objects of all sources; a List counts as its items.

    Raises: UsageError for a source that cannot be read, and where there are no objects, if a `verb` must have some.
    """
    folders = sum(isinstance(source, Kustomization) for source in sources)
    if folders and folders < len(sources):
        raise UsageError("only one of -f or -k can be specified")
    found = [
        manifest
        for source in sources
        for name, text in _texts(source, recursive)
        for manifest in parse_manifests(text, name)
    ]
    if verb and not found:
        raise UsageError(f"no objects passed to {verb}")
    return found


def _texts(source: str, recursive: bool) -> Iterator[tuple[str, str]]:
    if isinstance(source, Kustomization):
        yield source, build_kustomization(source)
        return
    if source == "-":
        yield "STDIN", sys.stdin.read()
        return
    if source.startswith(("http://", "https://")):
        yield source, _fetch(source)
        return
    path = Path(source)
    files = [path]
    if not path.exists():
        files = [Path(name) for name in sorted(glob(source))] if has_magic(source) else []
        if not files:
            raise UsageError(f'the path "{source}" does not exist')
    if path.is_dir():
        entries = path.rglob("*") if recursive else path.iterdir()
        files = sorted(entry for entry in entries if entry.is_file() and entry.suffix in _ENDINGS)
        if not files:
            raise UsageError(f"error reading [{source}]: recognized file extensions are [{' '.join(_ENDINGS)}]")
    for file in files:
        try:
            yield str(file), file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"error reading {file}: {error}") from error


def raw_text(sources: list[str]) -> str:
    """The text of the one file that is sent as it is. Raises: UsageError where there are several."""
    texts = [text for source in sources for _, text in _texts(source, False)]
    if len(texts) != 1:
        raise UsageError("--raw can only use a single local file or stdin")
    return texts[0]


def _fetch(url: str) -> str:
    from urllib.request import urlopen  # here: few manifests come from a URL

    try:
        with urlopen(url, timeout=FETCH_SECONDS) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        reason = f"{error.code} {error.reason}, status code={error.code}"
        raise UsageError(f'unable to read URL "{url}", server reported {reason}') from error
    except URLError as error:
        raise unreachable(url, error.reason if isinstance(error.reason, OSError) else error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise UsageError(f"unable to read URL {url!r}: {error}") from error


def parse_manifests(text: str, source: str) -> list[Manifest]:
    """Raises: UsageError for malformed YAML or JSON, and for documents that are no objects."""
    try:
        documents = list(read_documents(text))
    except YamlError as error:
        raise UsageError(f"error parsing {source}: error converting YAML to JSON: yaml: {error}") from error
    manifests: list[Manifest] = []
    for document, repeated_keys in documents:
        if repeated_keys:
            line, key = repeated_keys[0]
            why = f"line {line}: key {key!r} already set in map"
            raise UsageError(f"error parsing {source}: error converting YAML to JSON: yaml: {why}")
        if document is not None:
            manifests += _objects(document, source)
    return manifests


def _objects(document: object, source: str) -> Iterator[Manifest]:
    if not isinstance(document, dict):
        raise _not_valid(source, "invalid object to validate")
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _objects(item, source)
        return
    missing = [f"{field} not set" for field in ("apiVersion", "kind") if not document.get(field)]
    if missing:
        raise _not_valid(source, missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]")
    if not isinstance(document.get("metadata", {}), dict):
        raise _not_valid(source, "metadata must be an object")
    yield Manifest(document, source)


def _not_valid(source: str, why: str) -> UsageError:
    return UsageError(f'error validating "{source}": error validating data: {why}')


def resolve(context: CommandContext, manifest: Manifest) -> tuple[ResourceType, str]:
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
    if manifest.namespace and context.given_namespace and manifest.namespace != context.namespace:
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


def parse_targets(
    context: CommandContext,
    words: list[str],
    *,
    all_namespaces: bool = False,
    required: str = NOTHING_GIVEN,
) -> list[Target]:
    """`pods`, `pod web db`, `pod/web svc/web`, `pods,svc`, `all`.

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
        return [_target(context, context.discovery.find(kind), name) for kind, name in pairs]
    kinds = [kind for part in words[0].split(",") for kind in _kinds(context, part)]
    names = words[1:]
    if names and all_namespaces:
        raise UsageError("a resource cannot be retrieved by name across all namespaces")
    if not names:
        return [Target(kind, "", "" if all_namespaces or not kind.namespaced else context.namespace) for kind in kinds]
    return [_target(context, kind, name) for kind in kinds for name in names]


def _kinds(context: CommandContext, word: str) -> list[ResourceType]:
    try:
        return [context.discovery.find(word)]
    except UnknownType:
        if found := context.discovery.category(word):
            return found
        raise


def _target(context: CommandContext, kind: ResourceType, name: str) -> Target:
    if not name:
        raise UsageError("arguments in resource/name form must have a single resource and name")
    return Target(kind, name, context.namespace if kind.namespaced else "")


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
        what = f'"{kind.group}/{kind.version}, Resource={kind.plural}"'
        if selector or field_selector:
            what = f'Unable to find {what} that match label selector "{selector}", field selector "{field_selector}"'
        else:
            what = f"Unable to list {what}"
        error.message = f"{what}: {error.message}"
        raise


def select(
    context: CommandContext,
    words: list[str],
    files: list[str],
    *,
    selector: str = "",
    field_selector: str = "",
    all_namespaces: bool = False,
    recursive: bool = False,
    all_objects: bool = False,
    failed: list[Exception] | None = None,
) -> Iterator[tuple[Target, Dict]]:
    """Every object the arguments mean, with its present state.

    What the server refuses goes to `failed`, and the rest is still found; without `failed` it is raised.
    Raises: UsageError, StatusError.
    """
    if files:
        for manifest in read_manifests(files, recursive=recursive):
            kind, namespace = resolve(context, manifest)
            yield from _read(context, Target(kind, manifest.name, namespace), failed)
        return
    targets = parse_targets(context, words, all_namespaces=all_namespaces)
    for target in targets:
        if target.name:
            if selector:
                raise UsageError("name cannot be provided when a selector is specified")
            yield from _read(context, target, failed)
        elif selector or field_selector or all_objects:
            for item in list_objects(context, target, selector, field_selector)["items"]:
                item.setdefault("apiVersion", target.kind.api_version)
                item.setdefault("kind", target.kind.kind)
                yield Target(target.kind, item["metadata"]["name"], item["metadata"].get("namespace", "")), item
        else:
            raise UsageError("resource(s) were provided, but no name was specified")


def _read(context: CommandContext, target: Target, failed: list[Exception] | None) -> Iterator[tuple[Target, Dict]]:
    try:
        found: Dict = context.api.request("GET", target.path)
    except StatusError as error:
        if failed is None:
            raise
        failed.append(error)
        return
    yield target, found


def raise_all(failed: list[Exception]) -> None:
    """Nothing where nothing failed, the error where it is one, else all of them."""
    if failed:
        raise failed[0] if len(failed) == 1 else ExceptionGroup("several objects", failed)
