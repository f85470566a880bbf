"""Replaces by placeholders what two runs of one request can't have in common: uids, times, revisions, made-up names."""

from __future__ import annotations

import copy
import datetime
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

NAME_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"
FIRST_FREE_NODE_PORT = 30086  # the recorded server's static band of node ports ends below it

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
TIME = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
DURATION = re.compile(r"<invalid>|<unknown>|(\d+y)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?")
SHORT_DURATION = re.compile(r"(\d+[smhdy]){1,2}")
AGO = re.compile(r"\((\d+[smhdy])+ ago\)")
SIGNED_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")
NODE_PORT = re.compile(r"(\d+):(3\d{4})/(TCP|UDP|SCTP)")
DYNAMIC_ADDRESS = re.compile(r"10\.96\.(?!0\.)\d+\.\d+")
AGE_COLUMNS = {"age", "last schedule", "last seen", "first seen", "lastseen", "since", "when"}
REVISIONS_IN_TEXT = [
    (re.compile(r"(current: )\d+"), r"\1<rv>"),
    (re.compile(r'(resourceVersion\\?":\s?\\?")\d+'), r"\1<rv>"),
    (re.compile(r"(too old resource version: \d+ \()\d+\)"), r"\1<rv>)"),
    (re.compile(r"(ResourceVersion in precondition: \S+, ResourceVersion in object meta: )\d+"), r"\1<rv>"),
    (re.compile(r"(does not match the ResourceVersion in record \()\d+\)"), r"\1<rv>)"),
    (re.compile(r"(StorageError: invalid object, Code: 4, Key: \S+, ResourceVersion: )\d+"), r"\1<rv>"),
]


def normal(value: Any, generated: dict[str, str]) -> Any:
    """Returns the value with placeholders; `generated` maps names that the server made up to what stands for them."""
    if isinstance(value, dict):
        if value.get("kind", "Table") == "Table" and "columnDefinitions" in value:  # or a part of one
            value = _normal_table(value)
        return {key: _normal_member(key, member, generated) for key, member in value.items()}
    if isinstance(value, list):
        return [normal(item, generated) for item in value]
    if isinstance(value, str):
        for name, placeholder in generated.items():
            value = value.replace(name, placeholder)
        return normal_text(value)
    return value


def normal_text(text: str) -> str:
    text = UUID.sub("<uid>", text)
    text = TIME.sub(lambda match: "<time>" if _is_of_this_run(match.group(1)) else match.group(0), text)
    text = AGO.sub("(<age> ago)", text)
    text = SIGNED_TOKEN.sub("<jwt>", text)
    text = NODE_PORT.sub(lambda match: f"{match[1]}:{_port_or_placeholder(int(match[2]))}/{match[3]}", text)
    if DYNAMIC_ADDRESS.fullmatch(text):
        return "<clusterIP>"
    for pattern, replacement in REVISIONS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _port_or_placeholder(port: int) -> int | str:
    return "<nodePort>" if port >= FIRST_FREE_NODE_PORT else port


def _is_of_this_run(time: str) -> bool:
    """Tells whether the time is within two days of now; fixed times of the inputs are far away."""
    try:
        moment = datetime.datetime.fromisoformat(time).replace(tzinfo=datetime.UTC)
    except ValueError:
        return False
    return abs(datetime.datetime.now(datetime.UTC) - moment) < datetime.timedelta(days=2)


def _normal_member(key: str, value: Any, generated: dict[str, str]) -> Any:
    key = key.rsplit(".", 1)[-1]  # a case's "only" names members by their path
    match key, value:
        case "resourceVersion", str() if value.isdigit() and value != "0":
            return "<rv>"
        case "continue", str() if value:
            return "<continue>"
        case (("nodePort" | "healthCheckNodePort"), int()):
            return _port_or_placeholder(value)
        case "token", str() if value.count(".") == 2:
            return "<jwt>"
        case "details", {"uid": str()} if value["uid"]:
            value = {**value, "uid": "<uid>"}
        case "managedFields", list():
            parts = ("operation", "manager", "subresource", "apiVersion")
            value = sorted(value, key=lambda entry: [str(entry.get(part, "")) for part in parts])
    return normal(value, generated)


def _normal_table(table: dict[str, Any]) -> dict[str, Any]:
    """Replaces ages, and drops the descriptions of columns, which are everyone's own words."""
    table = copy.deepcopy(table)
    columns = table["columnDefinitions"]
    for row in table.get("rows") or []:
        cells = row.get("cells") or []
        for index, cell in enumerate(cells):
            if not isinstance(cell, str) or not cell:
                continue
            if not columns:  # later events of a watch leave them out
                is_age = SHORT_DURATION.fullmatch(cell) is not None
            else:
                is_age = index < len(columns) and _tells_age(columns[index]) and DURATION.fullmatch(cell) is not None
            if is_age:
                cells[index] = "<age>"
    for column in columns or []:
        column.pop("description", None)
    return table


def _tells_age(column: dict[str, Any]) -> bool:
    return str(column.get("name", "")).lower() in AGE_COLUMNS or column.get("type") == "date"


def generated_names(value: Any) -> Iterator[tuple[str, str]]:
    """Yields (name that the server made from a generateName, what stands for it) for each object inside `value`."""
    if isinstance(value, list):
        for item in value:
            yield from generated_names(item)
    elif isinstance(value, dict):
        metadata = value.get("metadata")
        if isinstance(metadata, dict):
            prefix, name = metadata.get("generateName"), metadata.get("name")
            if prefix and isinstance(name, str) and re.fullmatch(re.escape(prefix[:58]) + NAME_SUFFIX, name):
                yield name, prefix[:58] + "<gen>"
        for item in value.values():
            yield from generated_names(item)


def without_generated_suffix(value: Any, prefix: str) -> Any:
    """Replaces a name that an answer quotes without its object, as a Status does."""
    text = re.sub(re.escape(prefix[:58]) + NAME_SUFFIX, prefix[:58] + "<gen>", json.dumps(value))
    return json.loads(text)


def normal_warnings(headers: Iterable[str]) -> list[str]:
    """Returns the texts of Warning headers: '299 - "text"'."""
    texts = [text for header in headers for text in re.findall(r'299 \S+ "((?:[^"\\]|\\.)*)"', header)]
    return [normal_text(re.sub(r"\\(.)", r"\1", text)) for text in texts]


def without_repeated_bookmarks(events: list[Any]) -> list[Any]:
    """Drops progress bookmarks that follow an equal one."""
    return [
        event
        for index, event in enumerate(events)
        if index == 0 or event != events[index - 1] or event.get("type") != "BOOKMARK"
    ]


def without_order(status: dict[str, Any]) -> dict[str, Any]:
    """Sorts the causes of a Status that come in the order of a hash map."""
    status = copy.deepcopy(status)
    causes = (status.get("details") or {}).get("causes")
    if causes:
        causes.sort(key=lambda cause: json.dumps(cause, sort_keys=True))
    status["message"] = " | ".join(sorted(re.split(r", |\n|: \[|\]$", status.get("message", ""))))
    return status
