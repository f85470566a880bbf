"""ExternalMetricValue (external.metrics.k8s.io): a series of a metric that belongs to no object. It is measured, not
stored."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import Object
from apimachinery.model import Int64, Time
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource


class ExternalMetricValue(Object, protobuf="metricName metricLabels timestamp window* value"):
    """The value of one series of a metric."""

    metricName: str = ""
    """The metric that the series belongs to."""
    metricLabels: dict[str, str] = Field(default_factory=dict)
    """The labels of the series."""
    timestamp: Annotated[Time, NullIfEmpty()] = ""
    """The end of the time that was measured."""
    window: Int64 | None = None
    """The time that a rate is taken over, in seconds."""
    value: Quantity = "0"
    """The value."""


RESOURCE = Resource(
    kind="ExternalMetricValue",
    plural="externalmetrics",
    model=ExternalMetricValue,
    group="external.metrics.k8s.io",
    version="v1beta1",
    verbs=("list",),
    stored=False,
)
