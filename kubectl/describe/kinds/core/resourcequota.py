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
    writer.name(obj)
    _write_scopes(writer, obj, 0, " ")
    status = obj.get("status", {})
    hard = status.get("hard") or {}
    used = {name: _in_notation(value, hard[name]) for name, value in (status.get("used") or {}).items() if name in hard}
    _write_uses(writer, hard, used, 0, "----")


def write_quotas(writer: TextWriter, quotas: list[Dict]) -> None:
    """Writes what a namespace's description says about its quotas."""
    if not quotas:
        writer.line("No resource quota.")
        return
    writer.line("Resource Quotas")
    for quota in sorted(quotas, key=lambda item: str(item["metadata"]["name"])):
        writer.field("Name", quota["metadata"]["name"], 1)
        _write_scopes(writer, quota, 1, "")
        status = quota.get("status", {})
        _write_uses(writer, status.get("hard") or {}, status.get("used") or {}, 1, "---")


def _write_scopes(writer: TextWriter, quota: Dict, level: int, margin: str) -> None:
    """Writes the scopes, and with `margin` before it what each means."""
    scopes = sorted(quota["spec"].get("scopes") or ())
    if scopes:
        writer.field("Scopes", ", ".join(scopes), level)
        for scope in scopes:
            if scope in _SCOPES:
                writer.line(f"{margin}* {_SCOPES[scope]}", level)


def _write_uses(writer: TextWriter, hard: Dict, used: Dict, level: int, rule: str) -> None:
    """Writes a row for each resource that is limited."""
    rows = [["--------", rule, rule]]
    rows += [[name, used.get(name, "0"), hard[name]] for name in sorted(hard)]
    writer.table(["Resource", "Used", "Hard"], rows, level, ruled=False)


def _in_notation(used: str, hard: str) -> str:
    """Writes an amount in the notation of the limit, so that they can be compared."""
    return used if notation(used) == notation(hard) else format_quantity(byte_count(used), notation(hard))


DESCRIBE = DescribeSection(_write, events=False)
