"""NodeMetrics: what a node uses. It is measured, not stored."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import Object
from apimachinery.model import Time
from apimachinery.quantity import ResourceList
from apimachinery.resource import Resource
from metrics_server.kinds._usage import GROUP, VERSION, usage_columns


class NodeMetrics(Object, protobuf="metadata timestamp window usage"):
    """The resources that a node uses."""

    timestamp: Annotated[Time, NullIfEmpty()] = ""
    """The end of the time that was measured."""
    window: str = ""
    """The length of the time that CPU use is taken over, such as `10s`."""
    usage: ResourceList = Field(default_factory=dict)
    """The CPU time per second and the working set of the memory."""


RESOURCE = Resource(
    kind="NodeMetrics",
    plural="nodes",
    model=NodeMetrics,
    group=GROUP,
    version=VERSION,
    namespaced=False,
    columns=usage_columns(lambda obj: (obj.usage,)),
    verbs=("get", "list"),
    stored=False,
)
