"""Patches of a kustomization: strategic merge and JSON patches, on the objects that their targets mean."""

from __future__ import annotations

from typing import Any

from apimachinery.errors import StatusError
from kubectl.cli.command import UsageError
from kubectl.kustomize.reading import Folder, documents
from kubectl.kustomize.resources import Resource, Selector, id_of

Dict = dict[str, Any]

_KEYS = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip", "hostnames"),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port"),
    "resourceClaims": ("name",),
    "secrets": ("name",),
    "subsets": (),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""By which field the items of a list are the same, in the kinds of Kubernetes itself; other lists are replaced."""
_PRIMITIVE = ("finalizers",)
_TARGET = frozenset(Selector.__dataclass_fields__)


def apply_patches(resources: list[Resource], entries: list[Dict], folder: Folder) -> list[Resource]:
    """The fields `patches` and `patchesJson6902`. Raises: UsageError."""
    for entry in entries:
        text, name = _text(entry, folder)
        found = documents(text, name)
        target = entry.get("target")
        if target is not None and (unknown := set(target) - _TARGET):
            raise UsageError(f"invalid Kustomization: unknown field {sorted(unknown)[0]!r} in the target of a patch")
        selector = Selector(**target) if target is not None else None
        if len(found) == 1 and isinstance(found[0], list):
            if selector is None:
                raise UsageError(f"must specify a target for JSON patch {name}")
            for resource in selector.choose(resources):
                _json(resource, found[0], name)
            continue
        for patch in found:
            if not isinstance(patch, dict):
                raise UsageError(f"unable to parse SM or JSON patch from [patch: {text!r}]")
            resources = _merge_into(resources, patch, selector, entry.get("options") or {})
    return resources


def apply_strategic(resources: list[Resource], entries: list[str], folder: Folder) -> list[Resource]:
    """The field `patchesStrategicMerge`: names of files, or patches themselves."""
    patches = [{"path": entry} if folder.has(entry) else {"patch": entry} for entry in entries]
    return apply_patches(resources, patches, folder)


def _text(entry: Dict, folder: Folder) -> tuple[str, str]:
    """The patch, and what to call it."""
    if unknown := set(entry) - {"path", "patch", "target", "options"}:
        raise UsageError(f"invalid Kustomization: unknown field {sorted(unknown)[0]!r} of a patch")
    if bool(entry.get("path")) == bool(entry.get("patch")):
        both = (
            "patch and path can't be set at the same time"
            if entry.get("path")
            else "must specify one of patch and path"
        )
        raise UsageError(f"{both} in a patch of a kustomization")
    if path := entry.get("path"):
        return folder.read(path), path
    return entry["patch"], "the patch in the kustomization"


def _json(resource: Resource, operations: list[Any], name: str) -> None:
    from apimachinery.patch.json import json_patch

    try:
        resource.obj = json_patch(resource.obj, operations)
    except StatusError as error:
        raise UsageError(f"{name}: {error}") from error


def _merge_into(
    resources: list[Resource], patch: Dict, selector: Selector | None, options: dict[str, bool]
) -> list[Resource]:
    chosen = [_unique(resources, patch)] if selector is None else list(selector.choose(resources))
    gone = set()
    for resource in chosen:
        before = resource.id
        merged = merge(resource.obj, patch, known=_known(resource.obj))
        if merged is None:
            gone.add(id(resource))
            continue
        resource.obj = merged
        after = resource.id
        if not options.get("allowKindChange"):
            resource.obj["kind"], resource.obj["apiVersion"] = before.kind, _api_version(before.group, before.version)
        if not options.get("allowNameChange"):
            resource.obj["metadata"]["name"] = before.name
        elif after.name != before.name:
            resource.names.append(before)
        if before.namespace:
            resource.obj["metadata"]["namespace"] = before.namespace
        else:
            resource.obj["metadata"].pop("namespace", None)
    return [resource for resource in resources if id(resource) not in gone]


def _api_version(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version


def _unique(resources: list[Resource], patch: Dict) -> Resource:
    wanted = id_of(patch)
    if not wanted.kind or not wanted.name:
        raise UsageError("a strategic merge patch without a target must name the kind and the name of its object")
    found = [
        resource
        for resource in resources
        if any(
            (name.group, name.version, name.kind, name.name) == wanted[:4]
            and (name.namespace or "default") == (wanted.namespace or "default")
            for name in resource.ids
        )
    ]
    if len(found) != 1:
        why = "no matches for Id" if not found else "multiple matches for Id"
        raise UsageError(
            f'no resource matches strategic merge patch "{wanted}": {why} {wanted}; '
            f"failed to find unique target for patch {wanted}"
        )
    return found[0]


def _known(obj: Dict) -> bool:
    """Kinds of Kubernetes itself, whose lists have keys."""
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def merge(doc: Any, patch: Any, *, known: bool, field: str = "") -> Any:
    """`doc` with `patch` laid over it; None where the patch deletes it. What a patch adds to a list comes first."""
    if isinstance(patch, list):
        return _merge_list(doc if isinstance(doc, list) else [], patch, known=known, field=field)
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "delete":
        return None
    if directive not in (None, "merge", "replace"):
        raise UsageError(f"unknown patch directive {directive!r}")
    result = dict(doc) if isinstance(doc, dict) and directive != "replace" else {}
    for key, value in patch.items():
        if key == "$patch":
            continue
        if key.startswith("$"):
            raise UsageError(f"the patch directive {key!r} is not supported in kustomizations")
        merged = None if value is None else merge(result.get(key), value, known=known, field=key)
        if merged is None:
            result.pop(key, None)
        else:
            result[key] = merged
    return result


def _merge_list(old: list[Any], patch: list[Any], *, known: bool, field: str) -> list[Any] | None:
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    if known and field in _PRIMITIVE:
        return patch + [item for item in old if item not in patch]
    key = next(
        (key for key in _KEYS.get(field, ()) if all(isinstance(item, dict) and key in item for item in [*old, *patch])),
        None,
    )
    if not known or key is None:
        return patch
    by_key = {item[key]: item for item in old}
    result = []
    for item in patch:
        merged = merge(by_key.pop(item[key], {}), item, known=known)
        if merged is not None:
            result.append(merged)
    result += by_key.values()
    return result or None
