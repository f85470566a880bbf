"""Results of tracking as recipes, so that an object's owners are computed once for all objects of its shape.

Encoded entries are kept in pieces. Between the pieces stands what differs among objects of one shape: the times of
entries, the addresses and uids that list items are named by, and the items of sets. A result depends on these only by
their order and equality, so the same recipe fits other values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from apiserver.managedfields.outline import VARIABLE_KEYS

KEPT_RECIPES = 2048  # of about 3 KB each; the oldest goes
KEPT_ENTRIES = 256  # of about 4 KB each: objects of one shape that were written in one second have equal ones

_TIME = re.compile(rb'"time":"([^"]*)')
_NAME = re.compile(rb'(k:\{\\"(?:%b)\\":\\"|"v:\\")([^"\\]*)(?=\\"\}?":)' % "|".join(sorted(VARIABLE_KEYS)).encode())
"""Names only where they are a member of a set: a manager may call itself like a path element."""
_BEFORE_TIME = b'"time":"'
_RANKS = [f"0001-01-01T00:00:{number:02}Z".encode() for number in range(60)]
"""Times that stand for those of an object while a result is computed."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """`pieces` alternate between texts and room for a value; `slots` are the numbers of the values."""

    pieces: Sequence[bytes]
    slots: Sequence[int]

    def fill(self, values: Sequence[bytes]) -> bytes:
        pieces = [*self.pieces]
        pieces[1::2] = [values[slot] for slot in self.slots]
        return b"".join(pieces)


class Values:
    """What differs among objects of one shape: times, in order, and the names of list items.

    The caller adds the names that the write brings to `names`, which numbers them. `shape` is the entries without the
    values: equal for objects of one shape. `is_regular` tells whether ranks may stand for the times; a client may have
    written times of other forms.
    """

    def __init__(self, entries: bytes, now: str) -> None:
        self.times, names, self.shape, self.is_regular = _parse(entries, now)
        self.names = names.copy()

    def rank(self, time: str | None) -> str:
        """Returns what stands for a time in a result, and sorts as it; "" for none."""
        return _RANKS[self.times.index(time.encode())].decode() if time else ""

    def recipe(self, result: bytes) -> tuple[Recipe, bool]:
        """Makes the recipe of an encoded result that has ranks for times; False if it fits these values alone."""
        pieces, slots, general = [b""], [], True
        for before, value, slot in self._pieces(result):
            pieces[-1] += before
            if slot is not None:
                slots.append(slot)
                pieces += (b"", b"")
            else:  # a name with escapes in it
                pieces[-1] += value
                general = general and not value
        return Recipe(pieces, slots), general

    def _pieces(self, result: bytes) -> Iterator[tuple[bytes, bytes, int | None]]:
        """Yields each text with the value behind it and this value's number, None if it is not known."""
        by_time = [*_TIME.split(result), b""]
        for text, time in zip(by_time[::2], by_time[1::2], strict=True):
            *by_name, last = _NAME.split(text)
            for before, mark, name in zip(by_name[::3], by_name[1::3], by_name[2::3], strict=True):
                number = self.names.get(name)
                yield before + mark, name, None if number is None else len(self.times) + number
            if time:
                yield last + _BEFORE_TIME, time, _RANKS.index(time)
            else:
                yield last, b"", None


@lru_cache(maxsize=KEPT_ENTRIES)
def _parse(entries: bytes, now: str) -> tuple[list[bytes], dict[bytes, int], tuple[Hashable, ...], bool]:
    """Returns the times, in order, the names with their numbers, what remains of the entries without both, and whether
    the times are regular."""
    pieces = _TIME.split(entries)
    entry_times = pieces[1::2]
    times = sorted({*entry_times, now.encode()})
    names: dict[bytes, int] = {}
    shape: list[Hashable] = [times.index(now.encode())]
    shape += map(times.index, entry_times)
    for text in pieces[::2]:
        texts = _NAME.split(text)
        shape += texts[::3]
        for name in texts[2::3]:
            shape.append(names.setdefault(name, len(names)))
    is_regular = len(times) <= len(_RANKS) and all(len(time) in (0, len(_RANKS[0])) for time in times)
    return times, names, tuple(shape), is_regular


class RecipeBook:
    """Recipes by what they were computed from."""

    def __init__(self) -> None:
        self._recipes: dict[Hashable, Recipe] = {}

    def make(self, key: Hashable, values: Values, compute: Callable[[], bytes]) -> bytes:
        """Returns the result for these values; `compute` makes it, with ranks for times, where no recipe is kept."""
        recipe = self._recipes.get(key)
        if recipe is None:
            recipe, general = values.recipe(compute())
            if general:
                self._recipes[key] = recipe
                if len(self._recipes) > KEPT_RECIPES:
                    del self._recipes[next(iter(self._recipes))]
        return recipe.fill((*values.times, *values.names))
