"""ResourceQuotas: what the objects of a namespace use, and may use, together."""

from __future__ import annotations

from apimachinery.quantity import byte_count, format_quantity, notation
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext

_SCOPES = {
    "Terminating": "Pods that have a deadline (activeDeadlineSeconds).",
    "NotTerminating": "Pods without a deadline.",
    "BestEffort": "Pods whose containers request and limit nothing.",
    "NotBestEffort": "Pods with a request or a limit.",
}


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.present(obj["metadata"], [("Name", "name"), ("Namespace", "namespace")])
    _write_uses(writer, obj, 0, " ", "----")


def write_quotas(writer: TextWriter, quotas: list[Dict]) -> None:
    """Writes what a namespace's description says about its quotas."""
    if not quotas:
        writer.line("No resource quota.")
        return
    writer.line("Resource Quotas")
    for quota in sorted(quotas, key=lambda item: str(item["metadata"]["name"])):
        writer.field("Name", quota["metadata"]["name"], 1)
        _write_uses(writer, quota, 1, "", "---")


def _write_uses(writer: TextWriter, obj: Dict, level: int, margin: str, rule: str) -> None:
    """Writes the scopes of a quota, with `margin` before what they mean, and a row for each resource."""
    scopes = sorted(obj["spec"].get("scopes") or ())
    if scopes:
        writer.field("Scopes", ", ".join(scopes), level)
        for scope in scopes:
            if scope in _SCOPES:
                writer.line(f"{margin}* {_SCOPES[scope]}", level)
    status = obj.get("status", {})
    hard, used = status.get("hard") or {}, status.get("used") or {}
    rows = [["--------", rule, rule]]
    rows += [[name, _in_notation(used.get(name, "0"), hard[name]), hard[name]] for name in sorted(hard)]
    writer.table(["Resource", "Used", "Hard"], rows, level, ruled=False)


def _in_notation(used: str, hard: str) -> str:
    """Writes an amount in the notation of the limit, so that they can be compared."""
    return used if notation(used) == notation(hard) else format_quantity(byte_count(used), notation(hard))


DESCRIBE = DescribeSection(_write, events=False)
