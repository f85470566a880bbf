"""Sets of completion indexes in their text form, such as "1,3-5,7": intervals in increasing order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")

Interval = tuple[int, int]
"""The first and the last index."""


@dataclass(frozen=True, slots=True)
class Indexes:
    """A set of indexes, as intervals that neither touch nor overlap, in increasing order."""

    intervals: tuple[Interval, ...] = ()

    @staticmethod
    def of(indexes: Iterable[int]) -> Indexes:
        return Indexes(tuple(_merged((index, index) for index in sorted(indexes))))

    @staticmethod
    def read(text: str | None, below: int) -> Indexes:
        """Reads the text of a status; indexes from `below` on, of a Job that became smaller, are left out."""
        return Indexes(tuple(_merged(_clipped(_readable(text or ""), below))))

    def __or__(self, other: Indexes) -> Indexes:
        return Indexes(tuple(_merged(sorted((*self.intervals, *other.intervals)))))

    def __and__(self, other: Indexes) -> Indexes:
        """Goes through intervals, not through indexes, which may be two thousand millions."""
        both: list[Interval] = []
        mine, theirs = list(reversed(self.intervals)), list(reversed(other.intervals))
        while mine and theirs:
            (first, last), (their_first, their_last) = mine[-1], theirs[-1]
            if max(first, their_first) <= min(last, their_last):
                both.append((max(first, their_first), min(last, their_last)))
            (mine if last < their_last else theirs).pop()
        return Indexes(tuple(both))

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.intervals)

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and any(first <= index <= last for first, last in self.intervals)

    def __str__(self) -> str:
        """Two indexes in a row are written as "3,4", more as "3-5"."""
        parts = []
        for first, last in self.intervals:
            parts.append(str(first) if first == last else f"{first}{',' if last == first + 1 else '-'}{last}")
        return ",".join(parts)


def parse_indexes(text: str, completions: int) -> list[Interval]:
    """Reads a user's text strictly.

    Raises: ValueError with upstream's message.
    """
    intervals: list[Interval] = []
    for part in text.split(",") if text else ():
        first, last = _interval(part, completions)
        if intervals and intervals[-1][1] >= first:
            raise ValueError(f"non-increasing order, previous: {intervals[-1][1]}, current: {first}")
        intervals.append((first, last))
    return intervals


def _interval(text: str, completions: int) -> Interval:
    limits = text.split("-")
    if len(limits) > 2:
        raise ValueError(
            f'the fragment "{text}" violates the requirement that an index interval can have at most two parts '
            "separated by '-'"
        )
    first, last = _index(limits[0], completions), _index(limits[-1], completions)
    if len(limits) == 2 and first >= last:
        raise ValueError(f"non-increasing order, previous: {first}, current: {last}")
    return first, last


def _index(text: str, completions: int) -> int:
    if not _INTEGER.match(text):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)


def _readable(text: str) -> Iterator[Interval]:
    """Yields the intervals of a status up to the first that cannot be read."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not _INTEGER.match(first) or (last and not _INTEGER.match(last)):
            return
        yield int(first), int(last or first)


def _clipped(intervals: Iterable[Interval], below: int) -> Iterator[Interval]:
    for first, last in intervals:
        if first < below:
            yield first, min(last, below - 1)


def _merged(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """Joins sorted intervals that touch or overlap."""
    current: Interval | None = None
    for first, last in intervals:
        if current is None:
            current = first, last
        elif first <= current[1] + 1:
            current = current[0], max(current[1], last)
        else:
            yield current
            current = first, last
    if current is not None:
        yield current
