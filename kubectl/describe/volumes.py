"""Writes volumes, each by its source, and what a claim asks for."""

from __future__ import annotations

from kubeapi.core.persistentvolumeclaim.model import CLASS_ANNOTATION
from kubeapi.core.persistentvolumeclaim.resource import short_access_modes
from kubectl.api.client import Dict
from kubectl.describe.volumesources import PERSISTENT, PROJECTED, SOURCES, UNSET
from kubectl.describe.writer import TextWriter
from kubectl.output.ages import age

_MARGIN = "    "


def volume_lines(writer: TextWriter, spec: Dict, *, nested: bool = False) -> None:
    """Writes the volumes of a pod, or `nested` those of a template."""
    volumes = spec.get("volumes") or []
    if not volumes:
        writer.field("Volumes", None, 1 if nested else 0)
        return
    writer.heading("Volumes", 1 if nested else 0)
    for volume in volumes:
        writer.heading((" " if nested else "") + volume["name"], 1)
        kind = next((key for key in volume if key != "name"), "emptyDir")
        source_lines(writer, kind, volume.get(kind) or {})


def source_lines(writer: TextWriter, kind: str, source: Dict, *, persistent: bool = False) -> None:
    """Writes the source of a volume, or that of a `persistent` one, whose Secret and Endpoints lie in a namespace."""
    known = (PERSISTENT.get(kind) if persistent else None) or SOURCES.get(kind)
    if known is None:
        writer.line("<unknown>", 1)
        return
    text, fields = known
    writer.field("Type", text, 2)
    if kind == "fc":  # of all lists, kubectl joins this one by commas
        source = {**source, "targetWWNs": ", ".join(source.get("targetWWNs") or ())}
    _fields(writer, source, fields, "SecretReference" if persistent else "LocalObjectReference")
    match kind:
        case "downwardAPI":
            writer.heading("Items", 2)
            for item in source.get("items") or ():
                name = (item.get("fieldRef") or {}).get("fieldPath") or (item.get("resourceFieldRef") or {})["resource"]
                writer.line(f"{name} -> {item['path']}", 3)
        case "projected":
            for part in source.get("sources") or ():
                name = next((name for name in PROJECTED if name in part), "")
                _fields(writer, part.get(name) or {}, PROJECTED.get(name, ""))
        case "ephemeral":
            template = source.get("volumeClaimTemplate") or {}
            claim_lines(writer, {"metadata": {}, **template}, 2)
        case "csi":
            attributes = source.get("volumeAttributes")
            writer.labels("VolumeAttributes", attributes, 2, margin=_MARGIN if attributes else "")


def claim_lines(writer: TextWriter, claim: Dict, level: int = 0) -> None:
    """Writes what a claim asks for and has got. A template, which has no status, says less."""
    meta, spec, status = claim["metadata"], claim.get("spec") or {}, claim.get("status")
    storage_class = (meta.get("annotations") or {}).get(CLASS_ANNOTATION) or spec.get("storageClassName", "")
    writer.field("StorageClass", storage_class, level)
    if status is not None:
        writer.field("Status", phase(claim), level)
    writer.field("Volume", spec.get("volumeName", ""), level)
    margin = _MARGIN if level else ""
    writer.notes(meta, level, margin)
    if status is not None:
        finalizers(writer, meta)
    bound = status if status is not None and spec.get("volumeName") else None
    capacity = (bound.get("capacity") or {}).get("storage", "0") if bound is not None else ""
    writer.field("Capacity", capacity, level)
    writer.field("Access Modes", short_access_modes(bound.get("accessModes")) if bound is not None else "", level)
    writer.present(spec, [("VolumeMode", "volumeMode")], level)
    if source := spec.get("dataSource"):
        writer.heading("DataSource", level)
        writer.present(source, [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")], level + 1)


def phase(obj: Dict) -> str:
    """Words the state of a volume or claim."""
    if deleted := obj["metadata"].get("deletionTimestamp"):
        return f"Terminating (lasts {age(deleted)})"
    text: str = (obj.get("status") or {}).get("phase", "")
    return text


def finalizers(writer: TextWriter, meta: Dict) -> None:
    writer.field("Finalizers", f"[{' '.join(meta.get('finalizers') or ())}]")


def _fields(writer: TextWriter, source: Dict, fields: str, reference: str = "") -> None:
    """Writes the fields that a text of `volumesources` names; `reference` is the type of a reference to a Secret."""
    for field in filter(None, fields.split(", ")):
        label, _, name = field.rpartition("=")
        path, _, default = name.partition(":")
        value: object = source
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        label = label or ("FSType" if path == "fsType" else path[:1].upper() + path[1:])
        writer.field(label, (default or UNSET.get(path, "")) if value is None else _text(value, reference), 2)


def _text(value: object, reference: str) -> object:
    """Words a value as Go prints it."""
    if isinstance(value, list):
        return f"[{' '.join(map(str, value))}]"
    if isinstance(value, dict) and value.keys() <= {"name", "namespace"}:
        return f"&{reference}{{{''.join(f'{key.capitalize()}:{value[key]},' for key in sorted(value))}}}"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{item}' for key, item in sorted(value.items()))}]"
    return value
