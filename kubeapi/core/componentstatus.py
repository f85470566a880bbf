"""ComponentStatus: the health of the control plane's components. Deprecated; it is not stored."""

from __future__ import annotations

from typing import Annotated

from apimachinery.columns import NAME
from apimachinery.meta import Object
from apimachinery.model import MergeKey, Model
from apimachinery.resource import Column, Resource

HEALTHY = "Healthy"


class ComponentCondition(Model):
    """A condition of a component."""

    type: str = ""
    """The aspect of the component: always `Healthy`."""
    status: str = ""
    """`True`, `False` or `Unknown`."""
    message: str | None = None
    """The message of the component."""
    error: str | None = None
    """The reason why the component is not healthy."""


class ComponentStatus(Object):
    """A component of the control plane and its health."""

    conditions: Annotated[list[ComponentCondition], MergeKey("type")] | None = None
    """The observed conditions of the component."""


def _healthy(obj: ComponentStatus) -> ComponentCondition:
    conditions = (condition for condition in obj.conditions or () if condition.type == HEALTHY)
    return next(conditions, ComponentCondition(status="Unknown"))


def _status(obj: ComponentStatus, now: float) -> str:
    return {"True": "Healthy", "False": "Unhealthy"}.get(_healthy(obj).status, "Unknown")


RESOURCE = Resource(
    kind="ComponentStatus",
    plural="componentstatuses",
    model=ComponentStatus,
    namespaced=False,
    short_names=("cs",),
    columns=(
        NAME,
        Column("Status", _status, "Whether the component is healthy."),
        Column("Message", lambda obj, now: _healthy(obj).message or "", "The message of the component."),
        Column("Error", lambda obj, now: _healthy(obj).error or "", "The reason why the component is not healthy."),
    ),
    verbs=("get", "list"),
    stored=False,
    deprecated="v1 ComponentStatus is deprecated in v1.19+",
)
