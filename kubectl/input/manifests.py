"""Reads objects from files, folders, URLs and standard input."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError

from apimachinery.text.yaml import YamlError, read_document, read_number
from kubectl.api.client import Dict, unreachable
from kubectl.input.kustomize import build as build_kustomization
from kubectl.invocation.command import UsageError

FETCH_SECONDS = 30.0
_ENDINGS = (".json", ".yaml", ".yml")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"invalid value {name}")


_JSON = json.JSONDecoder(parse_float=read_number, parse_constant=_refuse_constant)


@dataclass(frozen=True)
class Manifest:
    """One object and where it was read."""

    obj: Dict
    source: str

    @property
    def name(self) -> str:
        return str(self.obj.get("metadata", {}).get("name") or "")

    @property
    def labels(self) -> dict[str, str]:
        return self.obj.get("metadata", {}).get("labels") or {}

    @property
    def namespace(self) -> str:
        return str(self.obj.get("metadata", {}).get("namespace") or "")


class Kustomization(str):
    """A folder given with -k; it stands among the files given with -f."""

    __slots__ = ()


def add_file_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument(
        "-f", "--filename", action="append", default=[], metavar="FILE",
        help=f"file, folder, URL or - (standard input) with the objects to {verb}; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "-k", "--kustomize", action="append", dest="filename", type=Kustomization, metavar="DIR",
        help=f"folder with a kustomization whose objects to {verb}",
    )  # fmt: skip
    parser.add_argument("-R", "--recursive", action="store_true", help="also the folders below a folder given with -f")


def read_manifests(args: argparse.Namespace, verb: str = "", *, selector: str = "") -> list[Manifest]:
    """The objects of all files that -f and -k name, where their labels match; a List counts as its items.

    Raises: UsageError for a source that cannot be read, and where there are no objects, if a `verb` must have some.
    """
    sources = args.filename
    folders = sum(isinstance(source, Kustomization) for source in sources)
    if folders and folders < len(sources):
        raise UsageError("only one of -f or -k can be specified")
    manifests = [
        manifest
        for source in sources
        for name, text in _texts(source, recursive=args.recursive)
        for manifest in parse_manifests(text, name)
    ]
    if selector:
        from apimachinery.selectors import parse_label_selector  # here: `get` has no need of it

        matching = parse_label_selector(selector)
        manifests = [manifest for manifest in manifests if matching.matches(manifest.labels)]
    if verb and not manifests:
        raise UsageError(f"no objects passed to {verb}")
    return manifests


def _texts(source: str, *, recursive: bool) -> Iterator[tuple[str, str]]:
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
    """The objects in a text. Raises: UsageError for malformed YAML or JSON, and for documents that are not objects."""
    documents = _json_documents(text) or _yaml_documents(text, source)
    return [manifest for document in documents if document is not None for manifest in _objects(document, source)]


def _json_documents(text: str) -> list[object]:
    """Reads JSON objects one behind the other; returns none for any other text, such as YAML."""
    documents: list[object] = []
    position = _skip_blanks(text, 0)
    if not text.startswith("{", position):
        return []
    while position < len(text):
        try:
            document, position = _JSON.raw_decode(text, position)
        except ValueError:
            return []
        documents.append(document)
        position = _skip_blanks(text, position)
    return documents


def _skip_blanks(text: str, position: int) -> int:
    while text[position : position + 1].isspace():
        position += 1
    return position


def _yaml_documents(text: str, source: str) -> Iterator[object]:
    """Yields the value of each YAML document. Raises: UsageError."""
    for part in _parts(text, source):
        try:
            yield read_document(part).value
        except YamlError as error:
            raise UsageError(f"error parsing {source}: error converting YAML to JSON: yaml: {error}") from error


def _parts(text: str, source: str) -> Iterator[str]:
    """Splits a text at its lines of three dashes, before any of it is parsed, as kubectl does.

    What follows a line of three dots is not read. Every line ends with a line break, also the last one of a file that
    has none there. Raises: UsageError for dashes with text behind them.
    """
    lines: list[str] = []
    is_open = True
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("---"):
            behind = line[3:].strip()
            if behind and not behind.startswith("#"):
                raise UsageError(f"error parsing {source}: invalid Yaml document separator: {behind}")
            yield "\n".join([*lines, ""])
            lines, is_open = [], True
        elif line.startswith("...") and not line[3:].strip():
            is_open = False
        elif is_open:
            lines.append(line)
    yield "\n".join([*lines, ""])


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
