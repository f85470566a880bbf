"""StorageClasses."""

from __future__ import annotations

from apimachinery.columns import label_text
from kubeapi.storage.storageclass import DEFAULT_ANNOTATIONS
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    annotations = obj["metadata"].get("annotations") or {}
    writer.field("Name", obj["metadata"]["name"])
    is_default = any(annotations.get(key) == "true" for key in DEFAULT_ANNOTATIONS)
    writer.field("IsDefaultClass", "Yes" if is_default else "No")
    writer.field("Annotations", label_text(annotations))
    writer.field("Provisioner", obj["provisioner"])
    writer.field("Parameters", label_text(obj.get("parameters")))
    writer.field("AllowVolumeExpansion", str(obj.get("allowVolumeExpansion", "<unset>")))
    if options := obj.get("mountOptions"):
        writer.heading("MountOptions")
        for option in options:
            writer.line(option, 1)
    else:
        writer.field("MountOptions", None)
    writer.present(obj, [("ReclaimPolicy", "reclaimPolicy"), ("VolumeBindingMode", "volumeBindingMode")])
    if terms := obj.get("allowedTopologies"):
        writer.field("AllowedTopologies", "")
        for index, term in enumerate(terms):
            labels = term.get("matchLabelExpressions") or ()
            writer.items(f"Term {index}", [f"{each['key']} in [{', '.join(each['values'])}]" for each in labels], 1)


DESCRIBE = DescribeSection(_write, "storage.k8s.io")
