"""What storing a definition, or an object of one, takes besides the rules of the kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apimachinery.conditions import set_condition
from apimachinery.errors import FieldError, MethodNotAllowed
from apimachinery.model import to_dict
from apimachinery.times import format_time
from apiserver.apiextensions.schema import check_definition, definition_warnings
from apiserver.registry.hooks import Hooks, Undo, nothing_to_undo
from componentbase.clock import Clock
from kubeapi.apiextensions.customresourcedefinition import (
    CLEANUP_FINALIZER,
    TERMINATING,
    CustomResourceDefinitionCondition,
)


class DefinitionHooks(Hooks):
    """A definition stays until its objects are gone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def errors(self, obj: Any, old: Any) -> list[FieldError]:
        return check_definition(to_dict(obj), to_dict(old) if old is not None else None)

    def warnings(self, obj: Any) -> list[str]:
        return definition_warnings(to_dict(obj))

    def marked(self, obj: Any) -> None:
        obj.metadata.finalizers = [*(obj.metadata.finalizers or ()), CLEANUP_FINALIZER]
        obj.status.conditions = set_condition(
            obj.status.conditions,
            CustomResourceDefinitionCondition(
                type=TERMINATING,
                status="True",
                reason="InstanceDeletionPending",
                message="CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
                lastTransitionTime=format_time(int(self._clock.now())),
            ),
        )

    def holds(self, obj: Any) -> bool:
        return obj.metadata.deletionTimestamp is None or CLEANUP_FINALIZER in (obj.metadata.finalizers or ())


class CustomObjectHooks(Hooks):
    """No object comes any more once its definition is being deleted."""

    def __init__(self, is_terminating: Callable[[], bool]) -> None:
        self._is_terminating = is_terminating

    async def begin_create(self, obj: Any, *, dry_run: bool) -> Undo:
        if self._is_terminating():
            raise MethodNotAllowed("create not allowed while custom resource definition is terminating", {})
        return nothing_to_undo
