"""LimitRanges: what bounds the pods of a namespace."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext

_COLUMNS = {
    "Min": "min",
    "Max": "max",
    "Default Request": "defaultRequest",
    "Default Limit": "default",
    "Max Limit/Request Ratio": "maxLimitRequestRatio",
}


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.name(obj)
    bounds(writer, [obj], "")


def bounds(writer: TextWriter, ranges: list[Dict], margin: str) -> None:
    """Writes a row for each resource that a limit is about, with `margin` before it."""
    headers = [f"{margin}Type", "Resource", *_COLUMNS]
    rows = [[margin + "-" * len("Type"), *("-" * len(header) for header in headers[1:])]]
    for limit in (limit for item in ranges for limit in item["spec"]["limits"]):
        values = [limit.get(field) or {} for field in _COLUMNS.values()]
        for name in sorted({name for column in values for name in column}):
            rows.append([margin + limit["type"], name, *(column.get(name, "-") for column in values)])
    writer.table(headers, rows, 0, ruled=False)


DESCRIBE = DescribeSection(_write, events=False)
