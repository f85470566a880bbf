"""Label and field selectors, as text in a query and as a LabelSelector in an object.

Source: Kubernetes documentation, "Labels and Selectors" and "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from apimachinery.errors import BadRequest
from apimachinery.names import label_value_errors, qualified_name_errors

if TYPE_CHECKING:
    from apimachinery.meta import LabelSelector

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Requirement:
    """`operator` is one of in, notin, exists, !, gt, lt; "=" is an `in` of one value, "!=" a `notin`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        return value is not None and _compare(value, self.operator, self.values[0])

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        if self.operator in ("gt", "lt"):
            return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == 'in' else '!='}{self.values[0]}"
        return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


def _compare(value: str, operator: str, bound: str) -> bool:
    try:
        number, limit = int(value), int(bound)
    except ValueError:
        return False
    return number > limit if operator == "gt" else number < limit


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; `nothing` is the selector of an absent LabelSelector."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @property
    def empty(self) -> bool:
        """Matches everything."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Labels) -> bool:
        if self.nothing:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)

_WORD = r"[^\s,()!=<>]+"
_SET = re.compile(rf"\s*({_WORD})\s+(in|notin)\s*\(([^()]*)\)\s*\Z")
_EQUAL = re.compile(rf"\s*({_WORD})\s*(==|=|!=|>|<)\s*({_WORD})?\s*\Z")
_EXISTS = re.compile(rf"\s*(!?)\s*({_WORD})\s*\Z")


@lru_cache(maxsize=1024)
def parse_label_selector(text: str) -> Selector:
    """ "app=web,tier in (a, b),!old" -> Selector.

    Raises: BadRequest.
    """
    if not text.strip():
        return EVERYTHING
    return Selector(tuple(_parse_requirement(part) for part in _split_outside_parentheses(text)))


def _split_outside_parentheses(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts


def _parse_requirement(part: str) -> Requirement:
    if match := _SET.match(part):
        values = tuple(value.strip() for value in match[3].split(","))
        return _checked(Requirement(match[1], match[2], values), part)
    if match := _EQUAL.match(part):
        value = match[3] or ""
        operator = {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}[match[2]]
        return _checked(Requirement(match[1], operator, (value,)), part)
    if (match := _EXISTS.match(part)) and match[2] not in ("in", "notin"):
        return _checked(Requirement(match[2], "!" if match[1] else "exists"), part)
    raise _unparsable(part, "found a requirement that is none of key=value, key!=value, key in (…), key, !key")


def _checked(requirement: Requirement, part: str) -> Requirement:
    if errors := qualified_name_errors(requirement.key):
        raise _unparsable(part, f'key: Invalid value: "{requirement.key}": {"; ".join(errors)}')
    if requirement.operator in ("gt", "lt"):
        if not re.fullmatch(r"[+-]?\d+", requirement.values[0]):
            raise _unparsable(part, "for 'Gt', 'Lt' operators, the value must be an integer")
        return requirement
    for value in requirement.values:
        if errors := label_value_errors(value):
            raise _unparsable(part, f'values: Invalid value: "{value}": {"; ".join(errors)}')
    return requirement


def _unparsable(part: str, why: str) -> BadRequest:
    return BadRequest(f'unable to parse requirement "{part.strip()}": {why}')


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


def selector_of(selector: LabelSelector | None) -> Selector:
    """An object's LabelSelector; None matches nothing, an empty one everything.

    Raises: BadRequest for an unknown operator.
    """
    if selector is None:
        return NOTHING
    requirements = [Requirement(key, "in", (value,)) for key, value in (selector.matchLabels or {}).items()]
    for expression in selector.matchExpressions or ():
        operator = _OPERATORS.get(expression.operator)
        if operator is None:
            raise BadRequest(f'"{expression.operator}" is not a valid label selector operator')
        requirements.append(Requirement(expression.key, operator, tuple(expression.values or ())))
    return Selector(tuple(requirements))


def selector_from_map(labels: Mapping[str, str] | None) -> Selector:
    """A Service's or ReplicationController's plain map; None or empty matches nothing, as there."""
    if not labels:
        return NOTHING
    return Selector(tuple(Requirement(key, "in", (value,)) for key, value in labels.items()))


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Requirements (path, "=" or "!=", value), all of which must hold."""

    requirements: tuple[tuple[str, str, str], ...] = ()

    @property
    def empty(self) -> bool:
        return not self.requirements

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(path, "") == value) == (op == "=") for path, op, value in self.requirements)

    def exact(self, path: str) -> str | None:
        """The value `path` must equal, if the selector says so."""
        return next((value for name, op, value in self.requirements if name == path and op == "="), None)

    def __str__(self) -> str:
        return ",".join(f"{path}{op}{value}" for path, op, value in self.requirements)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> FieldSelector:
    """ "spec.nodeName=a,status.phase!=Failed"; a backslash escapes "," "=" and itself in values.

    Raises: BadRequest.
    """
    requirements = []
    for part in re.split(r"(?<!\\),", text):
        if not part.strip():
            continue
        match = re.match(r"\s*([^=!\s]+)\s*(==|=|!=)(.*)\Z", part, re.DOTALL)
        if not match:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
        value = re.sub(r"\\([\\,=])", r"\1", match[3].strip())
        requirements.append((match[1], "!=" if match[2] == "!=" else "=", value))
    return FieldSelector(tuple(requirements))


def matcher(selector: Selector) -> Callable[[Labels], bool]:
    """The quickest test for a selector: equality on every key, the common case, is a loop over plain pairs."""
    if selector.nothing:
        return lambda labels: False
    if all(req.operator == "in" and len(req.values) == 1 for req in selector.requirements):
        pairs = [(req.key, req.values[0]) for req in selector.requirements]
        return lambda labels: all(labels.get(key) == value for key, value in pairs)
    return selector.matches
