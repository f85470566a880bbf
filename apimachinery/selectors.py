"""Label and field selectors, as text in a query and as a LabelSelector in an object.

Source: Kubernetes documentation, "Labels and Selectors" and "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from apimachinery.errors import BadRequest
from apimachinery.meta import LabelSelector
from apimachinery.names import label_value_errors, qualified_name_errors

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

_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+)?")
_SYMBOLS = frozenset("=!(),<>") | {"==", "!="}
_BINARY = {"=": "in", "==": "in", "in": "in", "!=": "notin", "notin": "notin", ">": "gt", "<": "lt"}


CACHED_CHARS = 1024  # longer selectors are read anew each time: what is remembered must stay small


def parse_label_selector(text: str) -> Selector:
    """ "app=web,tier in (a, b),!old" -> Selector.

    Raises: BadRequest, worded as upstream's.
    """
    return _label_selector(text) if len(text) <= CACHED_CHARS else _label_selector.__wrapped__(text)


@lru_cache(maxsize=1024)
def _label_selector(text: str) -> Selector:
    requirements = _Parser(text).parse()
    return Selector(tuple(requirements)) if requirements else EVERYTHING


class _Parser:
    """Reads the tokens one by one; "" marks the end."""

    def __init__(self, text: str) -> None:
        self._tokens = [found[1] for found in _TOKEN.finditer(text) if found[1]]
        self._at = 0

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        token = self._peek()
        if token and token != "!" and token in _SYMBOLS:
            raise BadRequest(f"found '{token}', expected: !, identifier, or 'end of string'")
        while self._peek():
            try:
                requirements.append(self._requirement())
            except _Unparsable as error:
                raise BadRequest(f"unable to parse requirement: {error}") from None
            token, following = self._next(), self._peek()
            if token and token != ",":
                raise BadRequest(f"found '{token}', expected: ',' or 'end of string'")
            if token and (not following or (following != "!" and following in _SYMBOLS)):
                raise BadRequest(f"found '{following}', expected: identifier after ','")
        return requirements

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._next()
        key = self._identifier(self._next())
        if errors := qualified_name_errors(key):
            raise _Unparsable(f'<nil>: Invalid value: "{key}": {"; ".join(errors)}')
        if absent or self._peek() in ("", ","):
            return Requirement(key, "!" if absent else "exists")
        token = self._next()
        operator = _BINARY.get(token)
        if operator is None:
            raise _Unparsable(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")
        values = self._values() if token in ("in", "notin") else (self._value(),)
        for index, value in enumerate(values):
            if operator in ("gt", "lt") and not _is_integer(value):
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise _Unparsable(f'values[{index}]: Invalid value: "{value}": {why}')
            if errors := label_value_errors(value):
                raise _Unparsable(f'values[{index}][{key}]: Invalid value: "{value}": {"; ".join(errors)}')
        return Requirement(key, operator, values)

    def _identifier(self, token: str) -> str:
        if not token or token in _SYMBOLS:
            raise _Unparsable(f"found '{token}', expected: identifier")
        return token

    def _value(self) -> str:
        return "" if self._peek() in ("", ",") else self._identifier(self._next())

    def _values(self) -> tuple[str, ...]:
        """Reads the values in parentheses; nothing between two commas is the empty value."""
        if (token := self._next()) != "(":
            raise _Unparsable(f"found '{token}' expected: '('")
        values: set[str] = set()
        value = ""
        while True:
            token = self._next()
            if token in (",", ")"):
                values.add(value)
                value = ""
                if token == ")":
                    return tuple(sorted(values))
            elif value or not token or token in _SYMBOLS:
                raise _Unparsable(f"found '{token}', expected: ',' or ')'")
            else:
                value = token


class _Unparsable(Exception):
    """A requirement is malformed; the message says how."""


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]{1,19}", text) is not None and -(2**63) <= int(text) < 2**63


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


def selector_of(selector: LabelSelector | None) -> Selector:
    """Converts an object's LabelSelector; None matches nothing, an empty one everything.

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
    """Converts the plain map of a Service or ReplicationController; None or an empty one matches nothing."""
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
        """Returns the value that `path` must equal, if the selector says so."""
        return next((value for name, op, value in self.requirements if name == path and op == "="), None)

    def __str__(self) -> str:
        return ",".join(f"{path}{op}{value}" for path, op, value in self.requirements)


def parse_field_selector(text: str) -> FieldSelector:
    """ "spec.nodeName=a,status.phase!=Failed"; a backslash escapes "," "=" and itself in values.

    Raises: BadRequest, worded as upstream's.
    """
    return _field_selector(text) if len(text) <= CACHED_CHARS else _field_selector.__wrapped__(text)


@lru_cache(maxsize=1024)
def _field_selector(text: str) -> FieldSelector:
    requirements = []
    for term in re.findall(r"((?:[^\\,]|\\.?)*),?", text, re.DOTALL):
        if not term:
            continue
        match = re.match(r"((?:[^\\=!]|\\.?|!(?!=))*)(!=|==|=)(.*)\Z", term, re.DOTALL)
        if not match:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        requirements.append((match[1], "!=" if match[2] == "!=" else "=", _unescaped(match[3])))
    return FieldSelector(tuple(requirements))


def _unescaped(value: str) -> str:
    for part in re.findall(r"\\.?|=", value, re.DOTALL):
        if part == "=":
            raise BadRequest(f"invalid field selector: unescaped character in value: {ord('=')}")
        if part[1:] not in ("\\", ",", "=") or len(part) == 1:
            raise BadRequest(f"invalid field selector: invalid escape sequence: {part}")
    return re.sub(r"\\(.)", r"\1", value)


def matcher(selector: Selector) -> Callable[[Labels], bool]:
    """The quickest test for a selector: equality on every key, the common case, is a loop over plain pairs."""
    if selector.nothing:
        return lambda labels: False
    if all(req.operator == "in" and len(req.values) == 1 for req in selector.requirements):
        pairs = [(req.key, req.values[0]) for req in selector.requirements]
        return lambda labels: all(labels.get(key) == value for key, value in pairs)
    return selector.matches
