"""Decides which names a definition gets, and whether it is served. Pure, and the same in every API server.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from apimachinery.conditions import get_condition, is_true, set_condition
from kubeapi.apiextensions.customresourcedefinition import (
    ESTABLISHED,
    NAMES_ACCEPTED,
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionStatus,
)


@dataclass
class TakenNames:
    """The names that a group's definitions have been given."""

    resources: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, definitions: Iterable[CustomResourceDefinition]) -> TakenNames:
        taken = cls()
        for definition in definitions:
            names = definition.status.acceptedNames
            taken.resources |= {names.plural, names.singular or "", *(names.shortNames or ())} - {""}
            taken.kinds |= {names.kind, names.listKind or ""} - {""}
        return taken


def wanted_status(
    definition: CustomResourceDefinition, others: Iterable[CustomResourceDefinition], now: str
) -> CustomResourceDefinitionStatus:
    """The status that the definition should have; `others` are those of its group, `now` an RFC 3339 time."""
    names, why = _accept(definition, TakenNames.of(others))
    status = definition.status.clone()
    status.acceptedNames = names
    if why is None:
        accepted = _condition(NAMES_ACCEPTED, "True", "NoConflicts", "no conflicts found", now)
    else:
        accepted = _condition(NAMES_ACCEPTED, "False", *why, now)
    established = get_condition(status.conditions, ESTABLISHED)
    if established is None or established.status != "True":
        if why is None:
            reason, text = "InitialNamesAccepted", "the initial names have been accepted"
            established = _condition(ESTABLISHED, "True", reason, text, now)
        else:
            established = _condition(ESTABLISHED, "False", "NotAccepted", "not all names are accepted", now)
    status.conditions = set_condition(set_condition(status.conditions, accepted), established)
    return status


def precedes(one: CustomResourceDefinition, other: CustomResourceDefinition) -> bool:
    """Tells whose wishes come first where neither has its names yet: the older's."""
    return (one.metadata.creationTimestamp or "", one.name) < (other.metadata.creationTimestamp or "", other.name)


def has_names(definition: CustomResourceDefinition) -> bool:
    return is_true(definition.status.conditions, NAMES_ACCEPTED)


def _accept(
    definition: CustomResourceDefinition, taken: TakenNames
) -> tuple[CustomResourceDefinitionNames, tuple[str, str] | None]:
    """Returns the names that the definition gets, and (reason, message) of the last conflict, None without one."""
    wanted, given = definition.spec.names, definition.status.acceptedNames
    names, why = given.clone(), None

    def conflict(requested: str, accepted: str | None, used: set[str]) -> bool:
        return requested != (accepted or "") and requested in used

    if conflict(wanted.plural, given.plural, taken.resources):
        why = "PluralConflict", _in_use(wanted.plural)
    else:
        names.plural = wanted.plural
    if conflict(wanted.singular or "", given.singular, taken.resources):
        why = "SingularConflict", _in_use(wanted.singular or "")
    else:
        names.singular = wanted.singular
    own = set(given.shortNames or ())
    clashing = [name for name in wanted.shortNames or () if name not in own and name in taken.resources]
    if clashing:
        texts = [_in_use(name) for name in clashing]
        why = "ShortNamesConflict", texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    else:
        names.shortNames = wanted.shortNames
    if conflict(wanted.kind, given.kind, taken.kinds):
        why = "KindConflict", _in_use(wanted.kind)
    else:
        names.kind = wanted.kind
    if conflict(wanted.listKind or "", given.listKind, taken.kinds):
        why = "ListKindConflict", _in_use(wanted.listKind or "")
    else:
        names.listKind = wanted.listKind
    names.categories = wanted.categories
    return names, why


def _in_use(name: str) -> str:
    return f'"{name}" is already in use'


def _condition(kind: str, status: str, reason: str, message: str, now: str) -> CustomResourceDefinitionCondition:
    return CustomResourceDefinitionCondition(
        type=kind, status=status, reason=reason, message=message, lastTransitionTime=now
    )
