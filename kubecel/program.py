"""Compiles an expression once, and evaluates it within a limit of cost."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from apimachinery.catalogue import collect
from kubecel.checker import TYPE_NAMES, Checker
from kubecel.closures import Closures
from kubecel.estimate import largest_cost
from kubecel.folds import Step
from kubecel.functions import Library, Overload
from kubecel.parser import parse, qualified_name
from kubecel.syntax import CompileError, Faults, Ident, Node, Select, walk
from kubecel.types import DYN, ObjectType, Type
from kubecel.values import CostExceeded, EvaluationError

EXPRESSION_LIMIT = 1_000_000
"""Units of cost that one evaluation may take, as upstream: about a tenth of a second there, half a second here."""

NO_OBJECTS: Mapping[str, ObjectType] = {}


class Program:
    """A compiled expression; it may be evaluated any number of times."""

    __slots__ = ("_names", "_size", "_step", "largest_cost", "source", "type", "uses")

    def __init__(self, source: str, tree: Node, variables: Mapping[str, Type]) -> None:
        closures = Closures(variables, TYPE_NAMES)
        self.source = source
        self.type = tree.type
        """The type of the result, as far as it is known."""
        self.largest_cost = largest_cost(tree)
        """An upper bound of one evaluation's cost; a huge number where the types set none."""
        self.uses = used_variables(tree)
        """The names of the variables that the expression may need."""
        self._names = tuple(variables)
        self._step: Step = closures.build(tree)
        self._size = closures.size

    def evaluate(self, values: Mapping[str, Any], limit: int = EXPRESSION_LIMIT) -> Any:
        """Returns the value. Raises: EvaluationError, CostExceeded."""
        return self.measure(values, limit)[0]

    def measure(self, values: Mapping[str, Any], limit: int = EXPRESSION_LIMIT) -> tuple[Any, int]:
        """Returns the value and its cost. Raises: EvaluationError, CostExceeded."""
        frame: list[Any] = [limit, *map(values.get, self._names)]
        frame.extend([None] * (self._size - len(frame)))
        try:
            value = self._step(frame)
        except RecursionError:
            raise EvaluationError("expression recursion limit exceeded") from None
        except EvaluationError as error:
            error.cost = limit - frame[0]
            raise
        if frame[0] < 0:
            raise CostExceeded
        return value, limit - frame[0]


def used_variables(tree: Node) -> frozenset[str]:
    names: set[str] = set()

    def note(node: Node) -> None:
        if isinstance(node, Ident | Select):
            names.add(qualified_name(node))

    walk(tree, note)
    return frozenset(names)


def compile_expression(
    source: str,
    variables: Mapping[str, Type],
    *,
    expected: tuple[Type, ...] = (),
    objects: Mapping[str, ObjectType] = NO_OBJECTS,
    binds: bool = False,
) -> Program:
    """Compiles an expression over these variables. `expected` are the types that it may have (dyn always fits), any if
    empty; `objects` are types that it may construct, by name. `binds`: it may name parts of itself by `cel.bind`.

    Raises: CompileError.
    """
    faults = Faults(source)
    tree = parse(source, faults, binds=binds)
    faults.check()
    assert tree is not None
    Checker(variables, functions(), objects, faults).check(tree)
    faults.check()
    found = tree.type
    if expected and found != DYN and not any(found == item or _lenient(found, item) for item in expected):
        names = str(expected[0]) if len(expected) == 1 else f"one of [{' '.join(map(str, expected))}]"
        raise WrongType(f"must evaluate to {names} but got {found}", found)
    return Program(source, tree, variables)


def _lenient(found: Type, wanted: Type) -> bool:
    """Tells whether the types differ only in parts that are unknown until evaluation."""
    if DYN in (found, wanted):
        return True
    pairs = zip(found.parameters, wanted.parameters, strict=False)
    return found.name == wanted.name and all(_lenient(one, other) for one, other in pairs)


class WrongType(CompileError):
    """The expression is well-formed, and its result has another type than is asked for."""

    def __init__(self, message: str, found: Type) -> None:
        super().__init__(message)
        self.found = found


@cache
def functions() -> Mapping[str, list[Overload]]:
    """Returns the overloads of every function, by name."""
    by_name: dict[str, list[Overload]] = {}
    for library in collect("kubecel.libraries", "LIBRARY", Library).values():
        for overload in library.overloads:
            by_name.setdefault(overload.function, []).append(overload)
    return by_name
