"""Reads the file of node groups: how many worker hosts of which sort the autoscaler may make.

groups:
- {name: workers, min: 1, max: 3}
- {name: batch, min: 0, max: 2, labels: {tier: batch}, taints: ["tier=batch:NoSchedule"], cpu: "1", memory: 2Gi}
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apimachinery.names import label_value_errors, qualified_name_errors
from apimachinery.quantity import QuantityError, format_quantity, parse_quantity
from apimachinery.text.yaml import YamlError, read_document
from kubeapi.core.pod.scheduling.tolerations import parse_taint
from mini_cluster.cluster.state import HostGroup, StateError


class _Group(BaseModel):
    """`cpu` and `memory` are what pods may ask for; by default all that the machine has."""

    model_config = ConfigDict(extra="forbid")

    name: str
    min: int = Field(ge=0)
    max: int = Field(ge=1)
    labels: dict[str, str] = {}
    taints: list[str] = []
    cpu: str = ""
    memory: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    groups: list[_Group]


def read_groups(text: bytes, offered: Mapping[str, str]) -> tuple[HostGroup, ...]:
    """Returns the groups of a file; `offered` is what a host has allocatable. Raises: StateError."""
    try:
        document = _File.model_validate(read_document(text).value)
        return tuple(_group(item, offered) for item in document.groups)
    except (YamlError, QuantityError) as error:
        raise StateError(f"node groups: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StateError(f"node groups: {where}: {first['msg']}") from None


def _group(item: _Group, offered: Mapping[str, str]) -> HostGroup:
    if not item.name:
        raise StateError("node groups: a group has no name")
    if wrong := label_value_errors(item.name):
        raise StateError(f"node groups: the name {item.name!r} can't be a label's value: {wrong[0]}")
    for key, value in item.labels.items():
        if wrong := qualified_name_errors(key) + label_value_errors(value):
            raise StateError(f"node groups: {item.name}: the label {key}={value} can't be: {wrong[0]}")
    try:
        for text in item.taints:
            parse_taint(text)
    except ValueError as error:
        raise StateError(f"node groups: {item.name}: {error}") from None
    sizes, reserved = {}, {}
    for name, wanted in (("cpu", item.cpu), ("memory", item.memory)):
        rest = parse_quantity(offered[name]) - parse_quantity(wanted) if wanted else 0
        if wanted and parse_quantity(wanted) <= 0:
            raise StateError(f"node groups: {item.name} wants {wanted} of {name}, which is too little for any pod")
        if rest < 0:
            raise StateError(f"node groups: {item.name} wants {wanted} of {name}, and this machine has {offered[name]}")
        if rest:
            sizes[name] = wanted
            reserved[name] = format_quantity(rest, "DecimalSI" if name == "cpu" else "BinarySI")
    return HostGroup(item.name, item.min, item.max, item.labels, tuple(item.taints), sizes, reserved)
