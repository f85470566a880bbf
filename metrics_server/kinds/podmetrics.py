"""PodMetrics: what the containers of a pod use. It is measured, not stored."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import Object
from apimachinery.model import Model, Time
from apimachinery.quantity import ResourceList
from apimachinery.resource import Resource
from metrics_server.kinds._usage import GROUP, VERSION, usage_columns


class ContainerMetrics(Model, protobuf="name usage"):
    """The resources that a container uses."""

    name: str = ""
    """The name of the container in the pod."""
    usage: ResourceList = Field(default_factory=dict)
    """The CPU time per second and the working set of the memory."""


class PodMetrics(Object, protobuf="metadata timestamp window containers"):
    """The resources that the containers of a pod use."""

    timestamp: Annotated[Time, NullIfEmpty()] = ""
    """The end of the time that was measured."""
    window: str = ""
    """The length of the time that CPU use is taken over, such as `10s`."""
    containers: list[ContainerMetrics] = Field(default_factory=list)
    """The containers that run."""


RESOURCE = Resource(
    kind="PodMetrics",
    plural="pods",
    model=PodMetrics,
    group=GROUP,
    version=VERSION,
    columns=usage_columns(lambda obj: [container.usage for container in obj.containers]),
    verbs=("get", "list"),
    stored=False,
)
