"""Arithmetic on amounts of resources by name, as they are on the wire."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from apimachinery.quantity import ResourceList, add_quantities, format_quantity, notation, parse_quantity

Amounts = Mapping[str, str]


def total(first: Amounts, second: Amounts) -> ResourceList:
    """Returns the sums of all resources that either of them names."""
    sums = dict(first)
    for name, value in second.items():
        sums[name] = add_quantities(sums[name], value) if name in sums else value
    return sums


def growth(new: Amounts, old: Amounts) -> ResourceList:
    """Returns how much more the new amounts are; 0 where they are less."""
    grown = {}
    for name, value in new.items():
        difference = parse_quantity(value) - parse_quantity(old.get(name, "0"))
        grown[name] = format_quantity(difference, notation(value)) if difference > 0 else "0"
    return grown


def among(amounts: Amounts, names: Collection[str]) -> ResourceList:
    """Returns the amounts of the named resources."""
    return {name: value for name, value in amounts.items() if name in names}


def positive(amounts: Amounts) -> ResourceList:
    return {name: value for name, value in amounts.items() if parse_quantity(value) > 0}


def exceeding(amounts: Amounts, limits: Amounts) -> list[str]:
    """Returns the resources of which there is more than the limit."""
    return [
        name
        for name, value in amounts.items()
        if name in limits and parse_quantity(value) > parse_quantity(limits[name])
    ]


def same(first: Amounts | None, second: Amounts | None) -> bool:
    """Tells whether both name the same resources with equal amounts, however those are written."""
    if first is None or second is None or first.keys() != second.keys():
        return False
    return all(parse_quantity(value) == parse_quantity(second[name]) for name, value in first.items())
