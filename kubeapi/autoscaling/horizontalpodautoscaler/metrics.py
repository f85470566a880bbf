"""The metrics of a HorizontalPodAutoscaler: which ones it follows to which targets, and what they were last."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import LabelSelector
from apimachinery.model import Int32, Model, OneOf
from apimachinery.quantity import Quantity

RESOURCE, CONTAINER_RESOURCE, PODS, OBJECT, EXTERNAL = "Resource", "ContainerResource", "Pods", "Object", "External"
SOURCES = {
    OBJECT: "object",
    EXTERNAL: "external",
    PODS: "pods",
    RESOURCE: "resource",
    CONTAINER_RESOURCE: "containerResource",
}
"""The type of a metric -> the member that describes it, in the order of validation."""
UTILIZATION, VALUE, AVERAGE_VALUE = "Utilization", "Value", "AverageValue"


class CrossVersionObjectReference(Model, protobuf="kind name apiVersion"):
    """Names an object of the same namespace, whatever version its kind is served in."""

    kind: str = ""
    """The kind of the object."""
    name: str = ""
    """The name of the object."""
    apiVersion: str | None = None
    """The group and version of the kind; the version does not matter."""


class MetricIdentifier(Model, protobuf="name selector"):
    """Names a metric, and the part of it that counts."""

    name: str = ""
    """The name of the metric."""
    selector: LabelSelector | None = None
    """Selects among the series of the metric by their labels; without it, all of them count."""


class MetricTarget(Model, protobuf="type value* averageValue* averageUtilization*"):
    """The amount that scaling keeps a metric at. One of the three is set."""

    type: Annotated[str, OneOf(UTILIZATION, VALUE, AVERAGE_VALUE)] = ""
    """Utilization, Value or AverageValue."""
    value: Quantity | None = None
    """The amount of the whole metric."""
    averageValue: Quantity | None = None
    """The amount for each pod."""
    averageUtilization: Int32 | None = None
    """The average over the pods, as a percentage of what they request. For resources alone."""


class MetricValueStatus(Model, protobuf="value* averageValue* averageUtilization*"):
    """The amount that a metric had last."""

    value: Quantity | None = None
    """The amount of the whole metric."""
    averageValue: Quantity | None = None
    """The amount for each pod, on average."""
    averageUtilization: Int32 | None = None
    """The average over the pods, as a percentage of what they request."""


class ResourceMetricSource(Model, protobuf="name target"):
    """A resource that the pods use, such as cpu."""

    name: str = ""
    """The name of the resource."""
    target: MetricTarget = Field(default_factory=MetricTarget)
    """The amount to keep it at: a utilization or an average value."""


class ContainerResourceMetricSource(Model, protobuf="name target container"):
    """A resource that one container of each pod uses."""

    name: str = ""
    """The name of the resource."""
    target: MetricTarget = Field(default_factory=MetricTarget)
    """The amount to keep it at: a utilization or an average value."""
    container: str = ""
    """The name of the container."""


class PodsMetricSource(Model, protobuf="metric target"):
    """A metric that each pod has, such as the requests it gets in a second."""

    metric: MetricIdentifier = Field(default_factory=MetricIdentifier)
    """The metric."""
    target: MetricTarget = Field(default_factory=MetricTarget)
    """The average to keep it at."""


class ObjectMetricSource(Model, protobuf="describedObject target metric"):
    """A metric of one object, such as the hits on an Ingress."""

    describedObject: CrossVersionObjectReference = Field(default_factory=CrossVersionObjectReference)
    """The object that the metric tells about."""
    target: MetricTarget = Field(default_factory=MetricTarget)
    """The amount to keep it at: of the whole metric, or for each pod."""
    metric: MetricIdentifier = Field(default_factory=MetricIdentifier)
    """The metric."""


class ExternalMetricSource(Model, protobuf="metric target"):
    """A metric of something outside of the cluster's objects, such as the length of a queue."""

    metric: MetricIdentifier = Field(default_factory=MetricIdentifier)
    """The metric."""
    target: MetricTarget = Field(default_factory=MetricTarget)
    """The amount to keep it at: of the whole metric, or for each pod."""


class MetricSpec(Model, protobuf="type object pods resource external - containerResource"):
    """A metric to follow. The member that `type` names is set."""

    type: Annotated[str, OneOf(CONTAINER_RESOURCE, EXTERNAL, OBJECT, PODS, RESOURCE)] = ""
    """ContainerResource, External, Object, Pods or Resource."""
    object: ObjectMetricSource | None = None
    """A metric of one object."""
    pods: PodsMetricSource | None = None
    """A metric of each pod, which is averaged."""
    resource: ResourceMetricSource | None = None
    """A resource that the pods use."""
    external: ExternalMetricSource | None = None
    """A metric of something outside of the cluster's objects."""
    containerResource: ContainerResourceMetricSource | None = None
    """A resource that one container of each pod uses."""


class ResourceMetricStatus(Model, protobuf="name current"):
    """The last use of a resource by the pods."""

    name: str = ""
    """The name of the resource."""
    current: MetricValueStatus = Field(default_factory=MetricValueStatus)
    """The amount."""


class ContainerResourceMetricStatus(Model, protobuf="name current container"):
    """The last use of a resource by one container of each pod."""

    name: str = ""
    """The name of the resource."""
    current: MetricValueStatus = Field(default_factory=MetricValueStatus)
    """The amount."""
    container: str = ""
    """The name of the container."""


class PodsMetricStatus(Model, protobuf="metric current"):
    """The last values of a metric that each pod has."""

    metric: MetricIdentifier = Field(default_factory=MetricIdentifier)
    """The metric."""
    current: MetricValueStatus = Field(default_factory=MetricValueStatus)
    """The average."""


class ObjectMetricStatus(Model, protobuf="metric current describedObject"):
    """The last value of a metric of one object."""

    metric: MetricIdentifier = Field(default_factory=MetricIdentifier)
    """The metric."""
    current: MetricValueStatus = Field(default_factory=MetricValueStatus)
    """The amount."""
    describedObject: CrossVersionObjectReference = Field(default_factory=CrossVersionObjectReference)
    """The object that the metric tells about."""


class ExternalMetricStatus(Model, protobuf="metric current"):
    """The last value of a metric of something outside of the cluster's objects."""

    metric: MetricIdentifier = Field(default_factory=MetricIdentifier)
    """The metric."""
    current: MetricValueStatus = Field(default_factory=MetricValueStatus)
    """The amount."""


class MetricStatus(Model, protobuf="type object pods resource external - containerResource"):
    """The last reading of a metric. The member that `type` names is set."""

    type: str = ""
    """ContainerResource, External, Object, Pods or Resource; empty while the metric can't be read."""
    object: ObjectMetricStatus | None = None
    """The value of a metric of one object."""
    pods: PodsMetricStatus | None = None
    """The average of a metric of each pod."""
    resource: ResourceMetricStatus | None = None
    """The use of a resource by the pods."""
    external: ExternalMetricStatus | None = None
    """The value of a metric of something outside of the cluster's objects."""
    containerResource: ContainerResourceMetricStatus | None = None
    """The use of a resource by one container of each pod."""
