"""Quantities: quantity("1Gi").isGreaterThan(quantity("500Mi")) ...

Source: Kubernetes documentation, "CEL in Kubernetes", "Kubernetes quantity library".
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from apimachinery.quantity import RULE, QuantityError, parse_quantity
from kubecel.functions import Library, per_character
from kubecel.types import Type
from kubecel.values import MAX_INT, EvaluationError, Opaque

LIBRARY = Library("quantities")


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class Quantity(Opaque):
    amount: Fraction
    type: ClassVar[Type] = Type("kubernetes.Quantity")


@LIBRARY("quantity(string): kubernetes.Quantity", cost=per_character())
def quantity(text: str) -> Quantity:
    try:
        return Quantity(parse_quantity(text))
    except QuantityError:
        raise EvaluationError(RULE) from None


@LIBRARY("isQuantity(string): bool", cost=per_character())
def is_quantity(text: str) -> bool:
    try:
        return bool(quantity(text))
    except EvaluationError:
        return False


def _is_integer(value: Quantity) -> bool:
    return value.amount.denominator == 1 and abs(value.amount) <= MAX_INT


@LIBRARY("kubernetes.Quantity.asInteger(): int")
def as_integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise EvaluationError("cannot convert value to integer")
    return int(value.amount)


def _compare(one: Quantity, other: Quantity) -> int:
    return (one.amount > other.amount) - (one.amount < other.amount)


LIBRARY.add("kubernetes.Quantity.isInteger(): bool", _is_integer)
LIBRARY.add("kubernetes.Quantity.asApproximateFloat(): double", lambda value: float(value.amount))
LIBRARY.add("kubernetes.Quantity.sign(): int", lambda value: (value.amount > 0) - (value.amount < 0))
LIBRARY.add("kubernetes.Quantity.compareTo(kubernetes.Quantity): int", _compare)
LIBRARY.add("kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool", lambda one, other: one.amount < other.amount)
LIBRARY.add(
    "kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool", lambda one, other: one.amount > other.amount
)
for name, factor in (("add", 1), ("sub", -1)):

    @LIBRARY(f"kubernetes.Quantity.{name}(kubernetes.Quantity): kubernetes.Quantity")
    def plus(one: Quantity, other: Quantity, factor: int = factor) -> Quantity:
        return Quantity(one.amount + factor * other.amount)

    @LIBRARY(f"kubernetes.Quantity.{name}(int): kubernetes.Quantity")
    def plus_int(one: Quantity, other: int, factor: int = factor) -> Quantity:
        return Quantity(one.amount + factor * other)
