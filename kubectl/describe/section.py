"""The constant by which a kind brings its description, and parts that descriptions share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kubectl.api.client import Dict
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext

_ACRONYMS = {"Api": "API", "Uid": "UID", "Ip": "IP", "Url": "URL", "Osb": "OSB"}


@dataclass(frozen=True)
class DescribeSection:
    """`DESCRIBE = DescribeSection(...)` in `kinds/<first word of the group>/<kind in lower case>.py` brings the
    description of a kind; the folder of the group "" is `core`.

    `group` is the API group of the kind; a kind of the same name in another group is described field by field.
    """

    write: Callable[[CommandContext, TextWriter, Dict], None]
    group: str = ""
    events: bool = True


def controlled_by(writer: TextWriter, obj: Dict) -> None:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            writer.field("Controlled By", f"{owner['kind']}/{owner['name']}")


def conditions(writer: TextWriter, obj: Dict) -> None:
    """Writes the conditions of a workload, with their reasons."""
    if items := obj.get("status", {}).get("conditions"):
        writer.heading("Conditions")
        rows = [[f"{item['type']} ", item["status"], item.get("reason") or ""] for item in items]
        writer.table(["Type", "Status", "Reason"], rows)


def spaced(name: str) -> str:
    """ "creationTimestamp" -> "Creation Timestamp", "apiVersion" -> "API Version", "openAPIV3Schema" as it is."""
    if not name.replace("-", "").isalpha():
        return name
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z-]+|-", name)
    words = [word[:1].upper() + word[1:] for word in words]
    return " ".join(_ACRONYMS.get(word, word) for word in words)
