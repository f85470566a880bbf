"""MetricValueList (custom.metrics.k8s.io): a metric of objects. It is measured, not stored."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import LabelSelector, Object
from apimachinery.model import Int64, Model, Time
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource
from kubeapi.core._references import ObjectReference


class MetricIdentifier(Model, protobuf="name selector"):
    """Names a metric, and the part of it that counts."""

    name: str = ""
    """The name of the metric."""
    selector: LabelSelector | None = None
    """Selects among the series of the metric by their labels."""


class MetricValue(Model, protobuf="describedObject metric timestamp windowSeconds* value"):
    """The value that a metric has for an object."""

    describedObject: ObjectReference = Field(default_factory=ObjectReference)
    """The object that the metric tells about."""
    metric: MetricIdentifier = Field(default_factory=MetricIdentifier)
    """The metric."""
    timestamp: Annotated[Time, NullIfEmpty()] = ""
    """The end of the time that was measured."""
    windowSeconds: Int64 | None = None
    """The length of the time that a rate is taken over, in seconds."""
    value: Quantity = "0"
    """The value."""


class MetricValueList(Object, protobuf="metadata items"):
    """The values that a metric has for objects."""

    items: list[MetricValue] = Field(default_factory=list)
    """One value for each object that has the metric."""


RESOURCE = Resource(
    kind="MetricValueList",
    plural="metrics",
    model=MetricValueList,
    group="custom.metrics.k8s.io",
    version="v1beta2",
    verbs=("get",),
    stored=False,
)
"""The metrics of a namespace itself. Those of its objects are below other paths: `pods/*/METRIC`."""
