"""IngressClasses."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext

_PARAMETERS = (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    writer.field("Controller", obj["spec"].get("controller", ""))
    if parameters := obj["spec"].get("parameters"):
        writer.heading("Parameters")
        writer.present(parameters, _PARAMETERS, 1)


DESCRIBE = DescribeSection(_write, "networking.k8s.io")
