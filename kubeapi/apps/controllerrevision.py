"""ControllerRevision: a snapshot of a controller's object, for rollbacks."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME, NONE
from apimachinery.errors import FieldError
from apimachinery.meta import Object, controller_of
from apimachinery.model import Int64
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors


class ControllerRevision(Object, protobuf="metadata data revision"):
    """A snapshot of a StatefulSet or DaemonSet, made by its controller."""

    data: dict[str, object] | None = None
    """The state, in a form that the controller chooses. It can't be changed."""
    revision: Int64 = 0
    """The number of the revision; the newest one has the highest number."""


class ControllerRevisionStrategy(Strategy[ControllerRevision]):
    """Source: Kubernetes API reference, "ControllerRevision"."""

    def validate(self, obj: ControllerRevision) -> list[FieldError]:
        errors = Errors()
        if obj.data is None:
            errors.required(("data",), "data is mandatory")
        errors.check_not_negative(("revision",), obj.revision)
        return errors

    def validate_update(self, obj: ControllerRevision, old: ControllerRevision) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(("data",), obj.data, old.data)
        return errors


def _controller(obj: ControllerRevision, now: float) -> str:
    """ "statefulset.apps/web"."""
    ref = controller_of(obj)
    if ref is None:
        return NONE
    group = ref.apiVersion.rpartition("/")[0]
    return f"{f'{ref.kind}.{group}' if group else ref.kind}/{ref.name}".lower()


RESOURCE = Resource(
    kind="ControllerRevision",
    plural="controllerrevisions",
    model=ControllerRevision,
    group="apps",
    strategy=ControllerRevisionStrategy(),
    columns=(
        NAME,
        Column("Controller", _controller, "The controller that made the revision."),
        Column("Revision", lambda obj, now: obj.revision, "The number of the revision."),
        AGE,
    ),
)
