"""Which definition gets the names that several want."""

from __future__ import annotations

import pytest

from apimachinery.conditions import get_condition
from apimachinery.meta import ObjectMeta
from apiserver.apiextensions.conditions import precedes, wanted_status
from kubeapi.apiextensions.customresourcedefinition import (
    CustomResourceDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec,
)

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def definition(plural: str, kind: str, short_names: list[str] | None = None) -> CustomResourceDefinition:
    names = CustomResourceDefinitionNames(
        plural=plural, singular=kind.lower(), kind=kind, listKind=f"{kind}List", shortNames=short_names
    )
    return CustomResourceDefinition(
        metadata=ObjectMeta(name=f"{plural}.tests.example"),
        spec=CustomResourceDefinitionSpec(group="tests.example", names=names),
    )


def settled(wanted: CustomResourceDefinition, *others: CustomResourceDefinition) -> CustomResourceDefinition:
    wanted.status = wanted_status(wanted, others, NOW)
    return wanted


def facts(obj: CustomResourceDefinition) -> list[tuple[str, str, str | None, str | None]]:
    return [(item.type, item.status, item.reason, item.message) for item in obj.status.conditions]


def test_free_names_are_given_and_the_definition_is_established() -> None:
    obj = settled(definition("widgets", "Widget", ["wd"]))
    assert obj.status.acceptedNames == obj.spec.names
    assert facts(obj) == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]


@pytest.mark.parametrize(
    ("wanted", "reason", "message"),
    [
        (definition("widgets", "Other"), "PluralConflict", '"widgets" is already in use'),
        (definition("others", "WIDGET"), "SingularConflict", '"widget" is already in use'),
        (definition("others", "Other", ["wd"]), "ShortNamesConflict", '"wd" is already in use'),
        (
            definition("others", "Other", ["wd", "widget"]),
            "ShortNamesConflict",
            '["wd" is already in use, "widget" is already in use]',
        ),
        (definition("others", "Widget"), "ListKindConflict", '"WidgetList" is already in use'),
    ],
)
def test_taken_names_are_refused(wanted: CustomResourceDefinition, reason: str, message: str) -> None:
    obj = settled(wanted, settled(definition("widgets", "Widget", ["wd"])))
    assert facts(obj) == [
        ("NamesAccepted", "False", reason, message),
        ("Established", "False", "NotAccepted", "not all names are accepted"),
    ]


def test_a_free_part_of_the_names_is_given() -> None:
    obj = settled(definition("others", "Other", ["wd"]), settled(definition("widgets", "Widget", ["wd"])))
    accepted = obj.status.acceptedNames
    assert (accepted.plural, accepted.kind, accepted.shortNames) == ("others", "Other", None)


def test_an_established_kind_stays_so_when_its_new_short_name_is_taken() -> None:
    obj = settled(definition("others", "Other"))
    obj.spec.names.shortNames = ["wd"]
    obj = settled(obj, settled(definition("widgets", "Widget", ["wd"])))
    assert [fact[:3] for fact in facts(obj)] == [
        ("NamesAccepted", "False", "ShortNamesConflict"),
        ("Established", "True", "InitialNamesAccepted"),
    ]


def test_nothing_changes_when_all_is_said() -> None:
    obj = settled(definition("widgets", "Widget"))
    assert wanted_status(obj, [], LATER) == obj.status
    condition = get_condition(obj.status.conditions, "Established")
    assert condition is not None
    assert condition.lastTransitionTime == NOW


def test_the_older_definition_comes_first_and_among_equals_the_name_decides() -> None:
    a, b = definition("as", "A"), definition("bs", "B")
    a.metadata.creationTimestamp, b.metadata.creationTimestamp = LATER, NOW
    assert precedes(b, a)
    assert not precedes(a, b)
    a.metadata.creationTimestamp = NOW
    assert precedes(a, b)
