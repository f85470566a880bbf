"""Writes volumes, each by its source."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import spaced
from kubectl.describe.writer import TextWriter

_TYPES = {
    "configMap": "ConfigMap (a volume populated by a ConfigMap)",
    "downwardAPI": "DownwardAPI (a volume populated by information about the pod)",
    "emptyDir": "EmptyDir (a temporary directory that shares a pod's lifetime)",
    "hostPath": "HostPath (bare host directory volume)",
    "persistentVolumeClaim": "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
    "projected": "Projected (a volume that contains injected data from multiple sources)",
    "secret": "Secret (a volume populated by a Secret)",
}
# source -> (label, field, value where the field is not set)
_FIELDS: dict[str, tuple[tuple[str, str, object], ...]] = {
    "configMap": (("Name", "name", ""), ("Optional", "optional", False)),
    "secret": (("SecretName", "secretName", ""), ("Optional", "optional", False)),
    "emptyDir": (("Medium", "medium", ""), ("SizeLimit", "sizeLimit", "<unset>")),
    "hostPath": (("Path", "path", ""), ("HostPathType", "type", "")),
    "persistentVolumeClaim": (("ClaimName", "claimName", ""), ("ReadOnly", "readOnly", False)),
}
_PROJECTED_FIELDS: dict[str, tuple[tuple[str, str, object], ...]] = {
    "secret": (("SecretName", "name", ""), ("Optional", "optional", False)),
    "configMap": (("ConfigMapName", "name", ""), ("Optional", "optional", False)),
    "downwardAPI": (("DownwardAPI", "", True),),
    "serviceAccountToken": (("TokenExpirationSeconds", "expirationSeconds", 3600),),
}


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
        source = volume.get(kind) or {}
        writer.field("Type", _TYPES.get(kind, kind[:1].upper() + kind[1:]), 2)
        if kind == "downwardAPI":
            writer.heading("Items", 2)
            for item in source.get("items") or ():
                writer.line(f"{(item.get('fieldRef') or {}).get('fieldPath', '')} -> {item['path']}", 3)
        elif kind == "projected":
            for part in source.get("sources") or ():
                name = next((name for name in _PROJECTED_FIELDS if name in part), "")
                _fields(writer, part.get(name) or {}, _PROJECTED_FIELDS.get(name, ()))
        elif kind in _FIELDS:
            _fields(writer, source, _FIELDS[kind])
        else:
            for key, value in source.items():
                if not isinstance(value, dict | list):
                    writer.field(spaced(key).replace(" ", ""), str(value), 2)


def _fields(writer: TextWriter, source: Dict, fields: tuple[tuple[str, str, object], ...]) -> None:
    for label, key, default in fields:
        writer.field(label, source.get(key, default), 2)
