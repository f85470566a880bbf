"""PriorityClass: a named priority of pods."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors

PREEMPT_LOWER = "PreemptLowerPriority"
POLICIES = (PREEMPT_LOWER, "Never")
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
SYSTEM_PREFIX = "system-"
HIGHEST_OF_USERS = 1_000_000_000


class PriorityClass(Object, protobuf="metadata value globalDefault description preemptionPolicy*"):
    """Maps a name to the priority of the pods that carry it as `priorityClassName`."""

    value: Int32 = 0
    """The priority as a number. Pods of higher priority are scheduled first and may preempt others. It can't be
    changed."""
    globalDefault: bool | None = None
    """Whether this is the class of pods that do not name one. Only one class may be the default."""
    description: str | None = None
    """When to use the class, for people."""
    preemptionPolicy: str | None = None
    """`PreemptLowerPriority` (the default) lets pods of the class preempt pods of lower priority; `Never` makes them
    wait. It can't be changed."""


class PriorityClassStrategy(Strategy[PriorityClass]):
    """Source: Kubernetes documentation, "Pod Priority and Preemption"."""

    def default(self, obj: PriorityClass) -> None:
        if obj.preemptionPolicy is None:
            obj.preemptionPolicy = PREEMPT_LOWER

    def prepare_create(self, obj: PriorityClass) -> None:
        obj.metadata.generation = 1

    def validate(self, obj: PriorityClass) -> list[FieldError]:
        errors, name = Errors(), obj.name
        if name.startswith(SYSTEM_PREFIX):
            if why := _why_no_system_class(obj):
                text = (
                    f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
                )
                errors.forbidden(("metadata", "name"), text)
        elif obj.value > HIGHEST_OF_USERS:
            text = f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"
            errors.forbidden(("value",), text)
        errors.check_one_of(("preemptionPolicy",), obj.preemptionPolicy, POLICIES)
        return errors

    def validate_update(self, obj: PriorityClass, old: PriorityClass) -> list[FieldError]:
        errors = Errors()
        if obj.value != old.value:
            errors.forbidden(("value",), "may not be changed in an update.")
        errors.check_immutable(("preemptionPolicy",), obj.preemptionPolicy, old.preemptionPolicy)
        return errors


def _why_no_system_class(obj: PriorityClass) -> str:
    value = SYSTEM_CLASSES.get(obj.name)
    if value is None:
        return f"{obj.name} is not a known system priority class"
    if obj.value != value:
        return f"value of {obj.name} PriorityClass must be {value}"
    return f"globalDefault of {obj.name} PriorityClass must be false" if obj.globalDefault else ""


RESOURCE = Resource(
    kind="PriorityClass",
    plural="priorityclasses",
    model=PriorityClass,
    group="scheduling.k8s.io",
    namespaced=False,
    short_names=("pc",),
    strategy=PriorityClassStrategy(),
    columns=(
        NAME,
        Column("Value", lambda obj, now: obj.value, "The priority of its pods.", "integer"),
        Column(
            "Global-Default",
            lambda obj, now: bool(obj.globalDefault),
            "Whether this is the class of pods that do not name one.",
            "boolean",
        ),
        AGE,
        Column("PreemptionPolicy", lambda obj, now: obj.preemptionPolicy or "", "Whether its pods may preempt others."),
    ),
)
