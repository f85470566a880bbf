"""Scale (autoscaling/v1): the body of every `scale` subresource."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE
from apimachinery.meta import Object
from apimachinery.model import OMIT_EMPTY, Int32, Model, Required
from apimachinery.resource import Column, Resource


class ScaleSpec(Model, protobuf="replicas"):
    """The desired number of replicas."""

    replicas: Annotated[Int32, Required(False), OMIT_EMPTY] = 0
    """The desired number of replicas, 0 or more."""


class ScaleStatus(Model, protobuf="replicas selector"):
    """The observed number of replicas."""

    replicas: Int32 = 0
    """The number of replicas that were last observed."""
    selector: str | None = None
    """The selector of the counted pods, as text."""


class Scale(Object, protobuf="metadata spec status"):
    """The size of any scalable object, whatever its kind."""

    spec: ScaleSpec = Field(default_factory=ScaleSpec)
    """The desired size."""
    status: ScaleStatus = Field(default_factory=ScaleStatus)
    """The size that was last observed."""


RESOURCE = Resource(
    kind="Scale",
    plural="scales",
    model=Scale,
    group="autoscaling",
    verbs=(),
    columns=(
        Column("Name", lambda obj, now: obj.name),
        Column("Desired", lambda obj, now: obj.spec.replicas, type="integer"),
        Column("Available", lambda obj, now: obj.status.replicas, type="integer"),
        AGE,
    ),
)
