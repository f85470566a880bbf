"""Rules in CEL, `x-kubernetes-validations`: compiled at their first use, and held against objects.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions", "Validation rules".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from apimachinery.errors import FieldError, forbidden, invalid, quote, required
from apimachinery.validation import Path, render
from apiserver.apiextensions.schema.branches import Branch, Raw
from apiserver.apiextensions.schema.fieldpath import resolve
from apiserver.apiextensions.schema.same import by_key, item_key, same
from apiserver.apiextensions.schema.values import MAX_FAULTS
from kubecel import (
    EXPRESSION_LIMIT,
    CostExceeded,
    EvaluationError,
    Program,
    Type,
    compile_expression,
    optional_of,
)
from kubecel.schemas import converter, declared_type
from kubecel.values import NONE, Optional

BUDGET = 10_000_000  # units of cost for all rules of an object together, as upstream
MAX_MESSAGE_BYTES = 5 * 1024  # of what a messageExpression makes

_NO_MORE = "no further validation rules will be run"
_ABSENT = object()


@dataclass(frozen=True)
class Rule:
    """One rule of a schema; `on` is the type of the values that it is about."""

    raw: Raw
    on: Type

    @property
    def is_optional(self) -> bool:
        """Whether `oldSelf` is an optional, so that the rule holds for new values, too."""
        return bool(self.raw.get("optionalOldSelf"))

    def compile(self, source: str) -> Program:
        """Raises: CompileError."""
        old = optional_of(self.on) if self.is_optional else self.on
        return compile_expression(source, {"self": self.on, "oldSelf": old})

    @cached_property
    def program(self) -> Program:
        return self.compile(self.raw["rule"])

    @cached_property
    def message(self) -> Program | None:
        source = self.raw.get("messageExpression")
        return self.compile(source) if source else None

    @cached_property
    def is_transition(self) -> bool:
        return "oldSelf" in self.program.uses

    @property
    def name(self) -> str:
        """The rule in messages about its evaluation."""
        return str(self.raw.get("message") or self.raw["rule"]).strip()

    @property
    def default_message(self) -> str:
        return self.name if self.raw.get("message") else f"failed rule: {self.name}"


def asks(schema: Raw) -> bool:
    return bool(schema.get("x-kubernetes-validations"))


def rules_of(schema: Raw, *, is_root: bool = False) -> list[Rule]:
    """Returns the rules that stand in a schema itself; none where values have no type that expressions know."""
    on = declared_type(schema, resource=is_root)
    return [Rule(raw, on) for raw in schema.get("x-kubernetes-validations") or ()] if on is not None else []


class Rules:
    """The rules of a schema and of all below it."""

    def __init__(self, branch: Branch, *, is_root: bool = True) -> None:
        self._branch = branch
        self._root = branch if is_root else None
        self._prepared: dict[int, tuple[list[Rule], Callable[[Any], Any] | None]] = {}

    def check(self, obj: Any, old: Any = None) -> list[FieldError]:
        """Lists the rules that do not hold, until the budget is spent or there are too many to report.

        Rules that compare with `oldSelf` hold for values that were there before, and others may stay broken by values
        that have not changed.
        """
        run = _Run(self._rules)
        was = _ABSENT if old is None else old
        with suppress(_Stop):
            run.walk(self._branch, obj, was, (obj, was), ())
        return run.errors

    def _rules(self, branch: Branch) -> tuple[list[Rule], Callable[[Any], Any] | None]:
        """Returns the rules of a branch, and what makes values for expressions of those in objects."""
        prepared = self._prepared.get(id(branch))
        if prepared is None:
            schema = branch.schema
            prepared = rules_of(schema, is_root=branch is self._root), converter(schema)
            self._prepared[id(branch)] = prepared
        return prepared


class _Stop(Exception):
    """No further rules are run: the budget is spent, or there are more faults than are reported."""


_Prepare = Callable[[Branch], tuple[list[Rule], Callable[[Any], Any] | None]]
_Pair = tuple[Any, Any]
"""A value and what it was: the nearest ones that have a counterpart in the old object."""


class _Run:
    """One evaluation of all rules."""

    def __init__(self, rules: _Prepare) -> None:
        self.errors: list[FieldError] = []
        self._rules = rules
        self._left = BUDGET

    def walk(self, branch: Branch, value: Any, was: Any, nearest: _Pair, at: Path) -> None:
        if value is None:
            return
        if branch.asks:
            self._evaluate(branch, value, was, nearest, at)
        if isinstance(value, dict):
            self._walk_object(branch, value, was, nearest, at)
        elif isinstance(value, list) and branch.items is not None:
            items_before = by_key(branch.schema, was)
            for index, item in enumerate(value):
                before = items_before.get(item_key(branch.schema, item), _ABSENT)
                self.walk(branch.items, item, before, _nearest(item, before, nearest), (*at, index))

    def _walk_object(self, branch: Branch, value: dict[str, Any], was: Any, nearest: _Pair, at: Path) -> None:
        is_atomic = branch.schema.get("x-kubernetes-map-type") == "atomic"
        for name, member in value.items():
            inner = branch.members.get(name)
            part = name
            if inner is None and branch.further is not None:
                inner, part = branch.further, f"[{name}]"
            if inner is not None:
                before = was.get(name, _ABSENT) if isinstance(was, dict) and not is_atomic else _ABSENT
                self.walk(inner, member, before, _nearest(member, before, nearest), (*at, part))

    def _evaluate(self, branch: Branch, value: Any, was: Any, nearest: _Pair, at: Path) -> None:
        rules, convert = self._rules(branch)
        kind = branch.schema.get("type") or ""
        is_new = was is _ABSENT or was is None
        itself = convert(value) if convert is not None else value
        before = None if is_new else convert(was) if convert is not None else was
        for rule in rules:
            if rule.is_transition and is_new and not rule.is_optional:
                continue
            old_self = (NONE if is_new else Optional(True, before)) if rule.is_optional else before
            variables = {"self": itself, "oldSelf": old_self}
            path = render(at) or "<nil>"
            if self._holds(rule, variables, path, kind):
                continue
            if not rule.is_transition and nearest[1] is not _ABSENT and same(*nearest):
                continue
            self.errors.append(self._fault(rule, variables, branch.schema, value, at))
            if len(self.errors) > MAX_FAULTS:
                raise _Stop

    def _holds(self, rule: Rule, variables: Mapping[str, Any], path: str, kind: str) -> bool:
        """Tells whether a rule has no more to be said of; an evaluation that fails says so itself."""
        limit = min(EXPRESSION_LIMIT, self._left)
        try:
            return self._measure(rule.program, variables, limit) is True
        except EvaluationError as error:
            text = str(error)
            if text.startswith("no such overload"):
                what = "call arguments did not match a supported operator, function or macro signature"
                text = f"'{text}': {what} for rule: {rule.name}"
            else:
                text = f"{text} evaluating rule: {rule.name}"
            self.errors.append(invalid(path, kind, text))
            return True
        except CostExceeded:
            if limit < EXPRESSION_LIMIT:
                text = f"validation failed due to running out of cost budget, {_NO_MORE}"
            else:
                why = "due to call cost exceeds limit for rule"
                text = f"'operation cancelled: actual cost limit exceeded': {_NO_MORE} {why}: {rule.name}"
            self.errors.append(invalid(path, kind, text))
            raise _Stop from None

    def _measure(self, program: Program, variables: Mapping[str, Any], limit: int) -> Any:
        try:
            value, cost = program.measure(variables, limit)
        except EvaluationError as error:
            self._left -= error.cost
            raise
        self._left -= cost
        return value

    def _fault(self, rule: Rule, variables: Mapping[str, Any], schema: Raw, value: Any, at: Path) -> FieldError:
        path = at
        if field := rule.raw.get("fieldPath"):
            path = (*at, *resolve(field, schema)[0])
        where, text = render(path) or "<nil>", self._message(rule, variables)
        reason = rule.raw.get("reason") or "FieldValueInvalid"
        if reason == "FieldValueForbidden":
            return forbidden(where, text)
        if reason == "FieldValueRequired":
            return required(where, text)
        shown = "" if schema.get("type") in ("object", "array") else quote(value)
        if reason == "FieldValueDuplicate":
            return FieldError(reason, where, "Duplicate value" + (f": {shown}" if shown else ""))
        return FieldError("FieldValueInvalid", where, f"Invalid value: {shown + ': ' if shown else ''}{text}")

    def _message(self, rule: Rule, variables: Mapping[str, Any]) -> str:
        """Returns the text for a broken rule; a messageExpression that makes none is as good as absent."""
        if rule.message is None:
            return rule.default_message
        try:
            text = self._measure(rule.message, variables, min(EXPRESSION_LIMIT, self._left))
        except EvaluationError:
            return rule.default_message
        except CostExceeded:
            self._left = 0
            return f"messageExpression evaluation failed due to running out of cost budget, {_NO_MORE}"
        text = text.strip() if isinstance(text, str) else ""
        if not text or "\n" in text or len(text.encode()) > MAX_MESSAGE_BYTES:
            return rule.default_message
        return text


def _nearest(value: Any, was: Any, outer: _Pair) -> _Pair:
    return outer if was is _ABSENT else (value, was)
