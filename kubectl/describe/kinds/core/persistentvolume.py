"""PersistentVolumes: what they are, and whose."""

from __future__ import annotations

from kubeapi.core.persistentvolume.model import PersistentVolumeSource
from kubeapi.core.persistentvolumeclaim.model import CLASS_ANNOTATION
from kubeapi.core.persistentvolumeclaim.resource import short_access_modes
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.volumes import finalizers, phase, source_lines
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    writer.head(obj)
    finalizers(writer, meta)
    annotated = (meta.get("annotations") or {}).get(CLASS_ANNOTATION)
    writer.field("StorageClass", annotated or spec.get("storageClassName", ""))
    writer.field("Status", phase(obj))
    claim = spec.get("claimRef")
    writer.field("Claim", f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "")
    writer.field("Reclaim Policy", spec.get("persistentVolumeReclaimPolicy", ""))
    writer.field("Access Modes", short_access_modes(spec.get("accessModes")))
    writer.present(spec, [("VolumeMode", "volumeMode")])
    writer.field("Capacity", (spec.get("capacity") or {}).get("storage", "0"))
    _node_affinity(writer, (spec.get("nodeAffinity") or {}).get("required"))
    writer.field("Message", status.get("message", ""))
    writer.heading("Source")
    kind = next((name for name in PersistentVolumeSource.model_fields if name in spec), "")
    source_lines(writer, kind, spec.get(kind) or {}, persistent=True)


def _node_affinity(writer: TextWriter, selector: Dict | None) -> None:
    writer.field("Node Affinity", "" if selector else None)
    if selector:
        writer.field("Required Terms", "", 1)
        for index, term in enumerate(selector.get("nodeSelectorTerms") or ()):
            writer.items(f"Term {index}", map(_requirement, term.get("matchExpressions") or ()), 2)


def _requirement(requirement: Dict) -> str:
    text = f"{requirement['key']} {requirement['operator'].lower()}"
    values = requirement.get("values")
    return f"{text} [{', '.join(values)}]" if values else text


DESCRIBE = DescribeSection(_write)
