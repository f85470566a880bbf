"""Quantities: "250m" CPUs, "64Mi" of memory. Exact, and printed in Kubernetes' canonical form.

Source: Kubernetes API reference, "Quantity".
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_FORM = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE]?)\Z", re.ASCII)
_MAX_LENGTH = 4000  # characters; Python reads no longer integers
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_BY_POWER = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_NANO = Fraction(1, 10**9)
_LIMIT = 2**63 - 1

RULE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class QuantityError(ValueError):
    """The text is not a quantity."""


def _parse(text: str) -> tuple[Fraction, str]:
    match = _FORM.match(text) if len(text) <= _MAX_LENGTH else None
    if not match:
        raise QuantityError(RULE)
    sign, number, suffix = match.groups()
    value = Fraction(number)
    if suffix in _BINARY:
        value *= 2 ** _BINARY[suffix]
    elif suffix in _DECIMAL:
        value *= Fraction(10) ** _DECIMAL[suffix]
    else:
        if abs(int(suffix[1:])) > 30:
            raise QuantityError("exponent out of range")
        value *= Fraction(10) ** int(suffix[1:])
    # Finer than nano rounds away from zero; larger than an int64 is cut to it.
    value = min(Fraction(-(-value // _NANO)) * _NANO, Fraction(_LIMIT))
    return (-value if sign == "-" else value), suffix


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Fraction:
    """Returns the exact value: "250m" -> 1/4, "1Ki" -> 1024.

    Raises: QuantityError.
    """
    return _parse(text)[0]


@lru_cache(maxsize=4096)
def cpu_millis(text: str) -> int:
    """Millicores, rounded up: "250m" -> 250, "2" -> 2000, "100u" -> 1. Raises: QuantityError."""
    value = parse_quantity(text) * 1000
    return -int(-value // 1)


@lru_cache(maxsize=4096)
def byte_count(text: str) -> int:
    """A whole number (bytes, pods …), rounded up: "64Mi" -> 67108864, "1500m" -> 2. Raises: QuantityError."""
    return -int(-parse_quantity(text) // 1)


def format_quantity(value: Fraction | int, like: str = "DecimalSI") -> str:
    """Canonical text: no fraction, the largest suffix that keeps it whole.

    `like` is "DecimalSI" (250m, 1k), "BinarySI" (64Mi) or "DecimalExponent" (1e3).
    """
    value = Fraction(value)
    if value == 0:
        return "0"
    if like == "BinarySI":
        if value.denominator == 1 and abs(value) >= 1024:
            number, suffix = value.numerator, ""
            for name in _BINARY:
                if number % 1024:
                    break
                number, suffix = number // 1024, name
            return f"{number}{suffix}"
        if value.denominator == 1:
            return str(value.numerator)
    power = -9
    scaled = value * 10**9
    while power < 18 and scaled % 1000 == 0:
        scaled, power = scaled / 1000, power + 3
    if like == "DecimalExponent":
        return f"{scaled}" if power == 0 else f"{scaled}e{power}"
    return f"{scaled}{_DECIMAL_BY_POWER[power]}"


@lru_cache(maxsize=4096)
def notation(text: str) -> str:
    """The notation that a quantity is written in, as `format_quantity` takes it: "64Mi" -> "BinarySI"."""
    suffix = _parse(text)[1]
    if suffix in _BINARY:
        return "BinarySI"
    return "DecimalExponent" if suffix and suffix[0] in "eE" and suffix not in _DECIMAL else "DecimalSI"


def add_quantities(first: str, second: str) -> str:
    """The sum, in the notation of the first one that is not 0: ("0", "64Mi") -> "64Mi"."""
    like = notation(first) if parse_quantity(first) else notation(second)
    return format_quantity(parse_quantity(first) + parse_quantity(second), like)


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The canonical form of a quantity, in the family it was written in: "1000m" -> "1", "0.5Gi" -> "512Mi"."""
    return format_quantity(_parse(text)[0], notation(text))


def _from_wire(value: object) -> str:
    if isinstance(value, str):
        return canonical(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return canonical(repr(value))
    if value is None:
        return "0"
    raise QuantityError(RULE)


Quantity = Annotated[str, BeforeValidator(_from_wire)]
"""A quantity on the wire, kept in canonical form; JSON numbers are taken too, and null for the amount 0."""


@lru_cache(maxsize=4096)
def _in_thousandths(text: str) -> str:
    """Rounds up a canonical quantity: "100u" -> "1m"."""
    thousandths = parse_quantity(text) * 1000
    return text if thousandths.denominator == 1 else format_quantity(Fraction(math.ceil(thousandths), 1000))


ResourceList = dict[str, Annotated[Quantity, AfterValidator(_in_thousandths)]]
"""Amounts of resources by name. A thousandth is the least."""
