"""Scale (autoscaling/v1): the body of every `scale` subresource."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Int32, Model, Required
from apimachinery.resource import Resource


class ScaleSpec(Model, protobuf="replicas"):
    """How many replicas are wanted."""

    replicas: Annotated[Int32, Required(False)] = 0
    """The wanted number of replicas, 0 or more."""


class ScaleStatus(Model, protobuf="replicas selector"):
    """How many replicas there are."""

    replicas: Int32 = 0
    """The number of replicas that were last seen."""
    selector: str | None = None
    """The pods that are counted, as text in the form of a label selector."""


class Scale(Object, protobuf="metadata spec status"):
    """The number of replicas of any kind that has them, read and written without knowing the kind."""

    spec: ScaleSpec = Field(default_factory=ScaleSpec)
    """The wanted size."""
    status: ScaleStatus = Field(default_factory=ScaleStatus)
    """The size that was last seen."""


RESOURCE = Resource(kind="Scale", plural="scales", model=Scale, group="autoscaling", verbs=())
