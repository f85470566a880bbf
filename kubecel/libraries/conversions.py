"""Conversions between types: int("1"), string(1.5), timestamp("2023-01-01T00:00:00Z") ..."""

from __future__ import annotations

import math
from typing import Any

from kubecel._times import format_duration, format_timestamp, parse_duration, parse_timestamp
from kubecel.functions import FIRST, Library, per_character
from kubecel.types import Type
from kubecel.values import (
    MAX_INT,
    SECOND,
    Duration,
    EvaluationError,
    Timestamp,
    UInt,
    checked_int,
    checked_timestamp,
    checked_uint,
    type_of_value,
)

LIBRARY = Library("conversions")


def _same(value: Any) -> Any:
    return value


for name in ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"):
    LIBRARY.add(f"{name}({name}): {name}", _same, size=FIRST)
LIBRARY.add("dyn(T): dyn", _same)
LIBRARY.add("int(uint): int", lambda value: checked_int(int(value)))
LIBRARY.add("int(timestamp): int", lambda value: value.nanos // SECOND)
LIBRARY.add("int(duration): int", lambda value: value.nanos)
LIBRARY.add("uint(int): uint", checked_uint)
LIBRARY.add("double(int): double", float)
LIBRARY.add("double(uint): double", float)
LIBRARY.add("timestamp(int): timestamp", lambda value: checked_timestamp(value * SECOND))
LIBRARY.add("duration(int): duration", Duration)
LIBRARY.add("string(bool): string", lambda value: "true" if value else "false", size=lambda sizes: 5)
LIBRARY.add("string(int): string", str, size=lambda sizes: 20)
LIBRARY.add("string(uint): string", str, size=lambda sizes: 20)
LIBRARY.add("string(timestamp): string", format_timestamp, size=lambda sizes: 35)
LIBRARY.add("string(duration): string", format_duration, size=lambda sizes: 22)
LIBRARY.add("bytes(string): bytes", str.encode, cost=per_character(), size=lambda sizes: 4 * sizes[0])


@LIBRARY("type(T): type(T)")
def type_(value: Any) -> Type:
    return value.type if not isinstance(value, Type) and hasattr(value, "type") else type_of_value(value)


@LIBRARY("int(double): int")
def int_of_double(value: float) -> int:
    if not -(2.0**63) < value < 2.0**63:
        raise EvaluationError("integer overflow")
    return int(value)


@LIBRARY("uint(double): uint")
def uint_of_double(value: float) -> UInt:
    if not 0 <= value < 2.0**64:
        raise EvaluationError("unsigned integer overflow")
    return UInt(value)


def _digits(text: str, wanted: str) -> int:
    if not (text.isascii() and text.lstrip("+-").isdigit() and len(text) < 25):
        raise EvaluationError(f"type conversion error from 'string' to '{wanted}'")
    return int(text)


@LIBRARY("int(string): int")
def int_of_string(text: str) -> int:
    number = _digits(text, "int")
    if not -MAX_INT - 1 <= number <= MAX_INT:
        raise EvaluationError("type conversion error from 'string' to 'int'")
    return number


@LIBRARY("uint(string): uint")
def uint_of_string(text: str) -> UInt:
    return checked_uint(_digits(text, "uint"))


@LIBRARY("double(string): double")
def double_of_string(text: str) -> float:
    try:
        if "_" in text or text != text.strip():
            raise ValueError
        return float(text)
    except ValueError:
        raise EvaluationError("type conversion error from 'string' to 'double'") from None


@LIBRARY("bool(string): bool")
def bool_of_string(text: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise EvaluationError("type conversion error from 'string' to 'bool'")


@LIBRARY("timestamp(string): timestamp")
def timestamp_of_string(text: str) -> Timestamp:
    return parse_timestamp(text)


@LIBRARY("duration(string): duration")
def duration_of_string(text: str) -> Duration:
    return parse_duration(text)


@LIBRARY("string(bytes): string", cost=per_character(), size=FIRST)
def string_of_bytes(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


@LIBRARY("string(double): string", size=lambda sizes: 25)
def string_of_double(value: float) -> str:
    """As Go prints it: without a fraction that is 0, by powers of ten beyond 21 digits."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" not in text and abs(value) >= 1e21:
        text = f"{value:e}"
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        if -5 < int(exponent) < 21:
            return f"{value:.{max(0, 20)}f}".rstrip("0").rstrip(".")
        return f"{mantissa}e{int(exponent):+03d}"
    return text.removesuffix(".0")
