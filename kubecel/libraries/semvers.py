"""Semantic versions: semver("1.2.3").isGreaterThan(semver("1.2.0")) ...

Source: semver.org; Kubernetes documentation, "CEL in Kubernetes", "Kubernetes semver library".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from kubecel.functions import Library, per_character
from kubecel.types import Type
from kubecel.values import EvaluationError, Opaque

LIBRARY = Library("semvers")
_PRE = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
FORM = re.compile(
    rf"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-({_PRE}(?:\.{_PRE})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_LENGTH = 256  # characters


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class Semver(Opaque):
    numbers: tuple[int, int, int]
    pre: tuple[str, ...]
    type: ClassVar[Type] = Type("kubernetes.Semver")

    def key(self) -> tuple[object, ...]:
        """Sorts as versions do: 1.0.0-a.1 < 1.0.0-a.b < 1.0.0."""
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre)
        return self.numbers, not self.pre, parts


def _normal(text: str) -> str:
    """Drops a "v" in front and zeros before numbers, and adds what is missing: "v1.02" -> "1.2.0"."""
    text = text.removeprefix("v")
    core = re.match(r"[\d.]*", text)[0]  # type: ignore[index]
    numbers = [str(int(part)) if part.isdigit() else part for part in core.split(".")]
    return ".".join((*numbers, *("0",) * (3 - len(numbers)))) + text[len(core) :]


@LIBRARY("semver(string): kubernetes.Semver", cost=per_character())
def semver(text: str) -> Semver:
    return semver_of(text, False)


@LIBRARY("semver(string, bool): kubernetes.Semver", cost=per_character())
def semver_of(text: str, normalize: bool) -> Semver:
    match = FORM.fullmatch(_normal(text) if normalize else text) if len(text) <= _LENGTH else None
    if match is None:
        raise EvaluationError(f"Semver parse error during conversion from string: {text!r} is not a semantic version")
    pre = tuple(match[4].split(".")) if match[4] else ()
    return Semver((int(match[1]), int(match[2]), int(match[3])), pre)


@LIBRARY("isSemver(string): bool", cost=per_character())
def is_semver(text: str) -> bool:
    return is_semver_of(text, False)


@LIBRARY("isSemver(string, bool): bool", cost=per_character())
def is_semver_of(text: str, normalize: bool) -> bool:
    try:
        return bool(semver_of(text, normalize))
    except EvaluationError:
        return False


@LIBRARY("kubernetes.Semver.compareTo(kubernetes.Semver): int")
def compare(one: Semver, other: Semver) -> int:
    left, right = one.key(), other.key()
    return (left > right) - (left < right)


LIBRARY.add("kubernetes.Semver.isLessThan(kubernetes.Semver): bool", lambda one, other: one.key() < other.key())
LIBRARY.add("kubernetes.Semver.isGreaterThan(kubernetes.Semver): bool", lambda one, other: one.key() > other.key())
for place, part in enumerate(("major", "minor", "patch")):
    LIBRARY.add(f"kubernetes.Semver.{part}(): int", lambda value, place=place: value.numbers[place])
