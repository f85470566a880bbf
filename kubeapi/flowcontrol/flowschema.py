"""FlowSchema: which requests belong together, and at which priority level they wait."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, NONE
from apimachinery.conditions import get_condition
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import ListMapKeys, MergeKey, Model
from apimachinery.resource import Column, Resource, Strategy
from kubeapi.flowcontrol._flowcontrol import GROUP, FlowCondition
from kubeapi.flowcontrol._flowschema_validation import validate_spec
from kubeapi.flowcontrol._rules import FlowSchemaSpec

DEFAULT_PRECEDENCE = 1000
DANGLING = "Dangling"


class FlowSchemaStatus(Model, protobuf="conditions"):
    """The observed state of a flow schema."""

    conditions: Annotated[list[FlowCondition], MergeKey("type"), ListMapKeys("type")] | None = None
    """`Dangling` says whether the schema's priority level is missing."""


class FlowSchema(Object, protobuf="metadata spec status"):
    """Assigns requests to a priority level and divides them into flows."""

    spec: FlowSchemaSpec = Field(default_factory=FlowSchemaSpec)
    """The requests of the schema, and where they wait."""
    status: FlowSchemaStatus = Field(default_factory=FlowSchemaStatus)
    """The observed state."""


class FlowSchemaStrategy(Strategy[FlowSchema]):
    """Source: Kubernetes documentation, "API Priority and Fairness"."""

    def default(self, obj: FlowSchema) -> None:
        obj.spec.matchingPrecedence = obj.spec.matchingPrecedence or DEFAULT_PRECEDENCE

    def validate(self, obj: FlowSchema) -> list[FieldError]:
        return validate_spec(obj.name, obj.spec)


def _missing(obj: FlowSchema) -> str:
    condition = get_condition(obj.status.conditions, DANGLING)
    return condition.status if condition is not None else "?"


RESOURCE = Resource(
    kind="FlowSchema",
    plural="flowschemas",
    model=FlowSchema,
    group=GROUP,
    namespaced=False,
    status=True,
    strategy=FlowSchemaStrategy(),
    columns=(
        NAME,
        Column(
            "PriorityLevel",
            lambda obj, now: obj.spec.priorityLevelConfiguration.name,
            "The priority level of the requests.",
        ),
        Column(
            "MatchingPrecedence",
            lambda obj, now: obj.spec.matchingPrecedence,
            "Of the schemas that match a request, the one with the lowest number counts.",
        ),
        Column(
            "DistinguisherMethod",
            lambda obj, now: obj.spec.distinguisherMethod.type if obj.spec.distinguisherMethod else NONE,
            "How the requests are divided into flows.",
        ),
        AGE,
        Column("MissingPL", lambda obj, now: _missing(obj), "Whether the priority level is missing."),
    ),
)
