"""Volumes, each by its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubectl.output.describe.generic import spaced
from kubectl.output.describe.writer import Writer

Dict = dict[str, Any]

_TYPES = {
    "configMap": "ConfigMap (a volume populated by a ConfigMap)",
    "downwardAPI": "DownwardAPI (a volume populated by information about the pod)",
    "emptyDir": "EmptyDir (a temporary directory that shares a pod's lifetime)",
    "hostPath": "HostPath (bare host directory volume)",
    "persistentVolumeClaim": "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
    "projected": "Projected (a volume that contains injected data from multiple sources)",
    "secret": "Secret (a volume populated by a Secret)",
}


def volume_lines(writer: Writer, spec: Dict, *, nested: bool = False) -> None:
    """Of a pod, or `nested` in a template."""
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
                of = item.get("fieldRef") or {}
                writer.line(f"{of.get('fieldPath', '')} -> {item['path']}", 3)
            continue
        for label, value in _fields(kind, source):
            writer.field(label, value, 2)


def _fields(kind: str, source: Dict) -> Iterator[tuple[str, object]]:
    if kind == "configMap":
        yield "Name", source.get("name", "")
        yield "Optional", _optional(source)
    elif kind == "secret":
        yield "SecretName", source.get("secretName", "")
        yield "Optional", _optional(source)
    elif kind == "emptyDir":
        yield "Medium", source.get("medium", "")
        yield "SizeLimit", source.get("sizeLimit", "<unset>")
    elif kind == "hostPath":
        yield "Path", source.get("path", "")
        yield "HostPathType", source.get("type", "")
    elif kind == "persistentVolumeClaim":
        yield "ClaimName", source.get("claimName", "")
        yield "ReadOnly", str(bool(source.get("readOnly"))).lower()
    elif kind == "projected":
        yield from _projected(source)
    else:
        for key, value in source.items():
            if not isinstance(value, dict | list):
                yield spaced(key).replace(" ", ""), value


def _projected(source: Dict) -> Iterator[tuple[str, object]]:
    for part in source.get("sources") or ():
        if secret := part.get("secret"):
            yield "SecretName", secret.get("name", "")
            yield "Optional", _optional(secret)
        elif config := part.get("configMap"):
            yield "ConfigMapName", config.get("name", "")
            yield "Optional", _optional(config)
        elif "downwardAPI" in part:
            yield "DownwardAPI", "true"
        elif token := part.get("serviceAccountToken"):
            yield "TokenExpirationSeconds", token.get("expirationSeconds", 3600)


def _optional(source: Dict) -> str:
    return str(bool(source.get("optional"))).lower()
