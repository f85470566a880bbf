"""ConfigMaps and Secrets that a kustomization makes of literals and files."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import Any

from kubectl.cli.command import UsageError
from kubectl.kustomize.reading import Folder
from kubectl.kustomize.resources import Resource, absorb

Dict = dict[str, Any]

_FIELDS = frozenset({"name", "namespace", "behavior", "literals", "files", "envs", "env", "options", "type"})
_OPTIONS = frozenset({"labels", "annotations", "disableNameSuffixHash", "immutable"})


def generate(resources: list[Resource], kind: str, entries: list[Dict], shared: Dict, folder: Folder) -> list[Resource]:
    """`resources` with those of the fields `configMapGenerator` or `secretGenerator`; `shared` are generatorOptions.

    Raises: UsageError.
    """
    for entry in entries:
        _check(entry, kind, shared)
        options = _merged(shared, entry.get("options") or {})
        try:
            pairs = _pairs(entry, folder)
        except UsageError as error:
            raise UsageError(f"loading KV pairs: {error}") from error
        obj = _object(entry, kind, options, _unique(entry, pairs))
        made = Resource(obj, hashed=not options.get("disableNameSuffixHash"), generated=True)
        behavior = entry.get("behavior") or "create"
        if behavior == "create":
            if any(resource.id == made.id for resource in resources):
                raise UsageError(f"merging from generator: id {made.id} exists; behavior must be merge or replace")
            resources = absorb(resources, [made])
        elif behavior in ("merge", "replace"):
            _lay_over(resources, made, merge=behavior == "merge")
        else:
            raise UsageError(f"unknown behavior {behavior!r} of the generator of {kind} {entry['name']}")
    return resources


def _check(entry: Dict, kind: str, shared: Dict) -> None:
    allowed = _FIELDS if kind == "Secret" else _FIELDS - {"type"}
    unknown = sorted(set(entry) - allowed) + sorted((set(entry.get("options") or {}) | set(shared)) - _OPTIONS)
    if unknown:
        raise UsageError(f'invalid Kustomization: json: unknown field "{unknown[0]}"')
    if not entry.get("name"):
        raise UsageError("a configmap must have a name")


def _merged(shared: Dict, own: Dict) -> Dict:
    result = {**shared, **own}
    for field in ("labels", "annotations"):
        if both := {**(shared.get(field) or {}), **(own.get(field) or {})}:
            result[field] = both
    for field in ("disableNameSuffixHash", "immutable"):
        result[field] = bool(shared.get(field) or own.get(field))
    return result


def _object(entry: Dict, kind: str, options: Dict, pairs: dict[str, bytes]) -> Dict:
    meta: Dict = {"name": entry["name"]}
    if entry.get("namespace"):
        meta["namespace"] = entry["namespace"]
    meta |= {field: dict(options[field]) for field in ("labels", "annotations") if options.get(field)}
    obj: Dict = {"apiVersion": "v1", "kind": kind, "metadata": meta}
    if kind == "Secret":
        obj["type"] = entry.get("type") or "Opaque"
    for key, value in pairs.items():
        field, text = _encoded(kind, value)
        obj.setdefault(field, {})[key] = text
    if options.get("immutable"):
        obj["immutable"] = True
    return obj


def _encoded(kind: str, value: bytes) -> tuple[str, str]:
    """The field, and the text in it."""
    if kind == "Secret":
        return "data", base64.b64encode(value).decode()
    try:
        return "data", value.decode()
    except UnicodeDecodeError:
        return "binaryData", base64.b64encode(value).decode()


def _unique(entry: Dict, pairs: list[tuple[str, bytes]]) -> dict[str, bytes]:
    """Raises: UsageError for a key that comes twice."""
    found: dict[str, bytes] = {}
    for key, value in pairs:
        if key in found:
            raise UsageError(f"configmap {entry['name']} illegally repeats the key `{key}`")
        found[key] = value
    return found


def _pairs(entry: Dict, folder: Folder) -> list[tuple[str, bytes]]:
    """Raises: UsageError for a source that is none."""
    found: list[tuple[str, bytes]] = []
    for name in [*(entry.get("envs") or ()), *([entry["env"]] if entry.get("env") else ())]:
        for line in folder.read(name).removeprefix("\ufeff").splitlines():
            line = line.lstrip()
            if line and not line.startswith("#"):
                key, _, text = line.partition("=")
                found.append((key, text.encode()))
    for item in entry.get("literals") or ():
        key, equals, text = str(item).partition("=")
        if not key or not equals:
            shown = " ".join(map(str, entry["literals"]))
            raise UsageError(f"literal sources [{shown}]: invalid literal source {item}, expected key=value")
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            text = text[1:-1]
        found.append((key, text.encode()))
    for item in entry.get("files") or ():
        key, equals, path = str(item).partition("=")
        if equals and not (key and path and "=" not in path):
            raise UsageError(f'file sources: "{item}" must be PATH or KEY=PATH')
        try:
            found.append((key if equals else PurePosixPath(item).name, folder.read_bytes(path if equals else item)))
        except UsageError as error:
            shown = " ".join(map(str, entry["files"]))
            raise UsageError(f"file sources: [{shown}]: {error}") from error
    return found


def _lay_over(resources: list[Resource], made: Resource, *, merge: bool) -> None:
    """A generator that changes what one before it has made."""
    name = made.id
    found = [
        resource
        for resource in resources
        if any((i.kind, i.group, i.name) == (name.kind, name.group, name.name) for i in resource.ids)
        and (not name.namespace or any(i.namespace == name.namespace for i in resource.ids))
    ]
    if len(found) != 1:
        raise UsageError(
            f"merging from generator: id {name} does not exist; cannot merge or replace"
            if not found
            else f"merging from generator: found multiple objects {name} that could accept merge"
        )
    old = found[0]
    if merge:
        for field in ("data", "binaryData"):
            if both := {**(old.obj.get(field) or {}), **(made.obj.get(field) or {})}:
                old.obj[field] = both
    else:
        for field in ("data", "binaryData"):
            old.obj.pop(field, None)
            if field in made.obj:
                old.obj[field] = made.obj[field]
    if "type" in made.obj:
        old.obj["type"] = made.obj["type"] if made.obj["type"] != "Opaque" else old.obj.get("type", "Opaque")
    for field in ("labels", "annotations"):
        if both := {**(old.obj["metadata"].get(field) or {}), **(made.obj["metadata"].get(field) or {})}:
            old.obj["metadata"][field] = both
    if made.obj.get("immutable"):
        old.obj["immutable"] = True
    old.hashed = old.hashed and made.hashed
