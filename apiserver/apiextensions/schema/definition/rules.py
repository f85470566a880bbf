"""What the rules of a schema may say, and how much they may cost.

Source: Kubernetes documentation, "CEL in Kubernetes", section "Resource constraints".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apimachinery.validation import Errors, Path, render
from apiserver.apiextensions.schema.fieldpath import resolve
from apiserver.apiextensions.schema.rules import Rule, rules_of
from kubecel import BOOL, STRING, CompileError, Program
from kubecel.schemas import MAX_REQUEST, smallest_size

Schema = Mapping[str, Any]

MAX_COST = 10_000_000  # of one expression, times the values that it may be about
MAX_TOTAL_COST = 100_000_000  # of all expressions of a schema
MOST_CHARACTERS = 1_000_000
"""The characters of all expressions of a definition: about 5 s of work. Upstream bounds each expression alone, and
compiles faster."""
_MARK = "x-kubernetes-validations"
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_NAMED = 4  # of the most expensive rules
_CHECK_YOUR_BOUNDS = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


def characters(schema: Any) -> int:
    """Counts those of all expressions in a schema, or in whatever has schemas."""
    count, waiting = 0, [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            rules = value.get(_MARK)
            for rule in rules if isinstance(rules, list) else ():
                if isinstance(rule, dict):
                    count += len(str(rule.get("rule"))) + len(str(rule.get("messageExpression") or ""))
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return count


def check_texts(errors: Errors, schema: Schema, at: Path) -> None:
    """Checks everything of a schema's rules but the expressions."""
    for index, rule in enumerate(schema.get(_MARK) or ()):
        path = (*at, _MARK, index)
        source, message, field = rule.get("rule") or "", rule.get("message") or "", rule.get("fieldPath") or ""
        if not source.strip():
            errors.required((*path, "rule"), "rule is not specified")
        elif message and not message.strip():
            errors.invalid((*path, "message"), message, "must be non-empty if specified")
        elif _has_line_breaks(message.strip()):
            errors.invalid((*path, "message"), message, "must not contain line breaks")
        elif _has_line_breaks(source.strip()) and not message.strip():
            errors.required((*path, "message"), "must be specified if rule contains line breaks")
        if rule.get("messageExpression") and not rule["messageExpression"].strip():
            errors.required((*path, "messageExpression"), "must be non-empty if specified")
        if (reason := rule.get("reason")) is not None and reason not in _REASONS:
            errors.not_supported((*path, "reason"), reason, _REASONS)
        if field and not field.strip():
            errors.invalid((*path, "fieldPath"), field, "must be non-empty if specified")
        if _has_line_breaks(field):
            errors.invalid((*path, "fieldPath"), field, "must not contain line breaks")
        if field and not _is_path(field, schema):
            errors.invalid((*path, "fieldPath"), field, "must be a valid path")


def _has_line_breaks(text: str) -> bool:
    return "\n" in text or "\r" in text


def _is_path(field: str, schema: Schema) -> bool:
    try:
        resolve(field, schema)
    except ValueError:
        return False
    return True


class Expressions:
    """The expressions of a whole schema: their faults, and what they cost together."""

    def __init__(self, *, unchanged: bool) -> None:
        self.errors = Errors()
        self._unchanged = unchanged  # an old schema may hold expressions that cost more than new ones may
        self._total = 0
        self._expensive: list[tuple[int, Path]] = []

    def check(self, schema: Schema, at: Path, *, is_root: bool, times: int | None, uncorrelated: Path | None) -> None:
        """Checks the rules that stand in a schema. There are at most so many `times` values of it in an object, None
        for no bound; `uncorrelated` is the schema around whose content has no counterpart in the old object."""
        if times is None:
            times = MAX_REQUEST // (smallest_size(schema) + 1)
        for index, rule in enumerate(rules_of(schema, is_root=is_root)):
            path = (*at, _MARK, index)
            program = self._compile(rule, rule.raw["rule"], (*path, "rule"))
            if program is not None:
                self._observe(program, times, (*path, "rule"), "estimated rule cost")
                if program.type != BOOL:
                    self._refuse(rule, (*path, "rule"), "cel expression must evaluate to a bool")
            if source := rule.raw.get("messageExpression"):
                where = (*path, "messageExpression")
                message = self._compile(rule, source, where, "messageExpression ")
                if message is not None and message.type != STRING:
                    self._refuse(rule, where, "messageExpression must evaluate to a string")
                elif message is not None:
                    self._observe(message, 1, where, "estimated messageExpression cost")
            if program is not None and "oldSelf" in program.uses:
                if uncorrelated is not None:
                    text = "oldSelf cannot be used on the uncorrelatable portion of the schema within"
                    self.errors.invalid((*path, "rule"), rule.raw["rule"], f"{text} {render(uncorrelated)}")
            elif rule.raw.get("optionalOldSelf") is not None:
                text = "may not be set if oldSelf is not used in rule"
                self.errors.invalid((*path, "optionalOldSelf"), rule.raw["optionalOldSelf"], text)

    def check_total(self, at: Path) -> None:
        """Checks the cost of all expressions, once every schema has been checked; `at` is the root's path."""
        if self._total <= MAX_TOTAL_COST:
            return
        self._expensive.sort(key=lambda item: -item[0])
        for _, path in self._expensive[:_NAMED]:
            text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            self.errors.forbidden(path, text)
        what = f"{_MARK} estimated rule cost total for entire OpenAPIv3 schema"
        self.errors.forbidden(at, _too_expensive(what, self._total, MAX_TOTAL_COST))

    def _compile(self, rule: Rule, source: str, at: Path, what: str = "") -> Program | None:
        try:
            return rule.compile(source)
        except CompileError as error:
            self._refuse(rule, at, f"{what}compilation failed: {error}")
            return None

    def _refuse(self, rule: Rule, at: Path, text: str) -> None:
        """Adds an error that quotes the rule as upstream prints its own structures."""
        raw = rule.raw
        shown = {
            "Rule": raw["rule"],
            "Message": raw.get("message") or "",
            "MessageExpression": raw.get("messageExpression") or "",
            "Reason": raw.get("reason"),
            "FieldPath": raw.get("fieldPath") or "",
            "OptionalOldSelf": raw.get("optionalOldSelf"),
        }
        self.errors.invalid(at, shown, text)

    def _observe(self, program: Program, times: int, at: Path, what: str) -> None:
        cost = program.largest_cost * times
        if cost > MAX_COST and not self._unchanged:
            self.errors.forbidden(at, _too_expensive(what, cost, MAX_COST))
        self._total += cost
        if cost >= MAX_TOTAL_COST // 100:
            self._expensive.append((cost, at))


def _too_expensive(what: str, cost: int, limit: int) -> str:
    times = cost / limit
    factor = "more than 100x" if times > 100 else f"{times:f}x" if times < 1.5 else f"{times:.1f}x"
    return f"{what} exceeds budget by factor of {factor} {_CHECK_YOUR_BOUNDS}"
