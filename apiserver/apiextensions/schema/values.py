"""Values are held to their schema: types, bounds, patterns, formats, enumerations and combinations.

The texts and their order are those of upstream's validator, which names a field twice in its messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from apimachinery.errors import MAX_REPORTED_ERRORS, FieldError, invalid, quote, required
from apiserver.apiextensions.schema.formats import check_of
from apiserver.apiextensions.schema.node import Node
from apiserver.apiextensions.schema.paths import At, dotted
from apiserver.apiextensions.schema.patterns import compile_pattern
from apiserver.apiextensions.schema.same import by_key, item_key, same

_KINDS: dict[type, str] = {
    dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number",
}  # fmt: skip
_CLASSES = {kind: cls for cls, kind in _KINDS.items()}
_GO_FORMATS = {"integer": "int64", "number": "double"}
_ABSENT = object()

MAX_FAULTS = 2 * MAX_REPORTED_ERRORS  # of one list: more would be left out of the answer, and take time
MAX_FAULT_CHARACTERS = 1_000_000  # after which a list is not looked at further: an enumeration may name thousands

INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
"""What `x-kubernetes-int-or-string` means, as definitions spell it out besides."""


class Report(list[FieldError]):
    """The faults so far. `root` is the field that the values are in: "" for whole objects."""

    def __init__(self, root: str = "") -> None:
        super().__init__()
        self.root = root
        self._characters = 0

    def append(self, error: FieldError) -> None:
        self._characters += len(error.message)
        super().append(error)

    @property
    def is_full(self) -> bool:
        """Whether enough is said, so that the rest of a list need not be looked at."""
        return len(self) > MAX_FAULTS or self._characters > MAX_FAULT_CHARACTERS

    def field(self, at: At) -> str:
        name = dotted(at)
        return f"{self.root}.{name}" if self.root and name else name or self.root or "<nil>"

    def invalid(self, at: At, value: object, rule: str) -> None:
        self.append(invalid(self.field(at), value, f"{dotted(at)} in body {rule}"))

    def wrong_type(self, at: At, value: object, expected: str, shown: str) -> None:
        text = f"Invalid value: {quote(value)}: {dotted(at)} in body must be of type {expected}: {quote(shown)}"
        self.append(FieldError("FieldValueTypeInvalid", self.field(at), text))

    def too_many(self, at: At, count: int, limit: int) -> None:
        self.append(
            FieldError("FieldValueTooMany", self.field(at), f"Too many: {count}: must have at most {limit} items")
        )

    def general(self, text: str) -> None:
        """Adds what upstream says of no field in particular."""
        self.append(invalid(self.root or "<nil>", "", text))


Check = Callable[[Any, At, Report], None]


def check(root: Node, obj: Any, old: Any = None, *, status: bool = False) -> list[FieldError]:
    """Lists the faults of an object, or those of its status alone, which are in what differs from `old`."""
    node: Node | None = root
    if status:
        node = root.child("status")
        obj, old = obj.get("status"), old.get("status") if old is not None else None
    if node is None or (status and obj is None):
        return []
    report = Report("status" if status else "")
    check_value(node, obj, None, report)
    if report and old is not None:
        report = Report(report.root)
        _check_changes(node, obj, old, None, report)
    return report


def check_value(node: Node, value: Any, at: At, report: Report) -> None:
    checker = node.checker
    if checker is None:
        checker = node.checker = _checker_of(node)
    checker(value, at, report)


def _checker_of(node: Node) -> Check:
    """Returns a function for the usual values of the schema, which leaves those of other types to the general one."""
    kind = node.types[0] if len(node.types) == 1 else ""
    if kind == "object":
        return _object_checker(node)
    if kind == "array" and node.items is not None:
        return _list_checker(node, node.items)
    expected, own = _CLASSES.get(kind), _own_checks(node).get(kind, ())

    def check_scalar(value: Any, at: At, report: Report) -> None:
        if value.__class__ is not expected:
            _check_any(node, value, at, report)
        else:
            for check_one in own:
                check_one(value, at, report)

    return check_scalar


def _object_checker(node: Node) -> Check:
    own = _own_checks(node).get("object", ())
    named = node.properties
    checkers: dict[str, Check] = {}

    def check_object(value: Any, at: At, report: Report) -> None:
        if value.__class__ is not dict:
            _check_any(node, value, at, report)
            return
        for check_one in own:
            check_one(value, at, report)
        for name, member in value.items():
            checker = checkers.get(name)
            if checker is not None:
                checker(member, (at, name), report)
            elif name in named and (child := node.child(name)) is not None:
                check_value(child, member, (at, name), report)
                checkers[name] = child.checker
            elif (further := node.further) is not None:
                check_value(further, member, (at, name), report)

    return check_object


def _list_checker(node: Node, items: Node) -> Check:
    own = _own_checks(node).get("array", ())

    def check_list(value: Any, at: At, report: Report) -> None:
        if value.__class__ is not list:
            _check_any(node, value, at, report)
            return
        for index, item in enumerate(value):
            check_value(items, item, (at, index), report)
            if report.is_full:
                return
        for check_one in own:
            check_one(value, at, report)

    return check_list


def _check_any(node: Node, value: Any, at: At, report: Report) -> None:
    """Checks a value of whatever type."""
    _check_self(node, value, at, report)
    if type(value) is dict:
        for name, member in value.items():
            if (child := node.member(name)) is not None:
                check_value(child, member, (at, name), report)
    elif type(value) is list and (items := node.items) is not None:
        for index, item in enumerate(value):
            check_value(items, item, (at, index), report)


def _check_self(node: Node, value: Any, at: At, report: Report) -> None:
    """Checks a value without its members."""
    kind = _KINDS.get(type(value), "null")
    types = node.types
    is_null = value is None and node.nullable
    if types and kind not in types and not is_null and not _is_other_number(kind, value, types):
        _report_type(node, kind, value, at, report)
    for check_one in _own_checks(node).get(kind, ()):
        check_one(value, at, report)


def _own_checks(node: Node) -> dict[str, tuple[Check, ...]]:
    if node.checks is None:
        node.checks = _checks_of(node.raw)
    checks: dict[str, tuple[Check, ...]] = node.checks
    return checks


def _is_other_number(kind: str, value: Any, types: tuple[str, ...]) -> bool:
    return (kind == "integer" and "number" in types) or (kind == "number" and "integer" in types and value.is_integer())


def _report_type(node: Node, kind: str, value: Any, at: At, report: Report) -> None:
    form = node.raw.get("format")
    if form and kind not in ("string", "array", "null"):
        shown = _GO_FORMATS.get(kind, "")
        report.wrong_type(at, shown, form, shown)
    else:
        report.wrong_type(at, kind, ",".join(node.types), kind)


# -- on updates


def _check_changes(node: Node, value: Any, old: Any, at: At, report: Report) -> None:
    """Checks what is not as it was. Items of lists are compared with those of the same key, if they have keys."""
    if old is not _ABSENT and same(value, old):
        return
    _check_self(node, value, at, report)
    if type(value) is dict:
        for name, member in value.items():
            if (child := node.member(name)) is not None:
                was = old.get(name, _ABSENT) if type(old) is dict else _ABSENT
                _check_changes(child, member, was, (at, name), report)
    elif type(value) is list and (items := node.items) is not None:
        items_before = by_key(node.raw, old)
        for index, item in enumerate(value):
            _check_changes(items, item, items_before.get(item_key(node.raw, item), _ABSENT), (at, index), report)
            if report.is_full:
                return


# -- the checks of a schema, by the kind of the value: prepared when the first value comes


def _checks_of(raw: Mapping[str, Any]) -> dict[str, tuple[Check, ...]]:
    combined = _combinations(raw)
    enumerated = (_enumeration(raw["enum"]),) if raw.get("enum") else ()
    form = (_format(raw["format"]),) if raw.get("format") and check_of(raw["format"]) is not None else ()
    numbers = _numbers(raw)
    checks = {
        "string": (*combined, *_strings(raw), *form, *enumerated),
        "integer": (*combined, *numbers, *enumerated),
        "number": (*combined, *numbers, *enumerated),
        "array": (*combined, *_sizes(raw, "Items", "items"), *enumerated),
        "object": (*combined, *enumerated, *_sizes(raw, "Properties", "properties"), *_members(raw)),
        "boolean": (*combined, *enumerated),
        "null": enumerated,
    }
    return {kind: found for kind, found in checks.items() if found}


def _strings(raw: Mapping[str, Any]) -> tuple[Check, ...]:
    longest, shortest, pattern = raw.get("maxLength"), raw.get("minLength"), raw.get("pattern")
    if longest is None and shortest is None and not pattern:
        return ()
    compiled = compile_pattern(pattern) if pattern else None

    def check_string(value: str, at: At, report: Report) -> None:
        if longest is not None and len(value) > longest:
            text = f"Too long: may not be more than {longest} bytes"
            report.append(FieldError("FieldValueTooLong", report.field(at), text))
        elif shortest is not None and len(value) < shortest:
            report.invalid(at, value, f"should be at least {shortest} chars long")
        elif compiled is not None and not compiled.is_in(value):
            report.invalid(at, value, f"should match '{pattern}'")

    return (check_string,)


def _format(name: str) -> Check:
    is_fine = check_of(name)

    def check_format(value: str, at: At, report: Report) -> None:
        if is_fine is not None and not is_fine(value):
            report.wrong_type(at, value, name, value)

    return check_format


def _numbers(raw: Mapping[str, Any]) -> tuple[Check, ...]:
    kind, form = raw.get("type"), raw.get("format") or ""
    multiple, highest, lowest = raw.get("multipleOf"), raw.get("maximum"), raw.get("minimum")
    below, above = bool(raw.get("exclusiveMaximum")), bool(raw.get("exclusiveMinimum"))
    bits = 31 if form == "int32" else 63
    limit = 3.4028234663852886e38 if form in ("float", "float32") else math.inf

    def check_number(value: float, at: At, report: Report) -> None:
        if kind == "integer":
            fits = value == int(value) and -(2**bits) <= value < 2**bits
        else:
            fits = -limit <= value <= limit
        if not fits:
            named = f"with format {form}" if form else "(default format)"
            report.general(f"Checked value must be of type {kind} {named} in {dotted(at)}")
        if multiple is not None and not _is_multiple(value, multiple):
            report.invalid(at, value, f"should be a multiple of {_go_number(multiple, value)}")
        if highest is not None and (value >= highest if below else value > highest):
            rule = "less than" if below else "less than or equal to"
            report.invalid(at, value, f"should be {rule} {_go_number(highest, value)}")
        if lowest is not None and (value <= lowest if above else value < lowest):
            rule = "greater than" if above else "greater than or equal to"
            report.invalid(at, value, f"should be {rule} {_go_number(lowest, value)}")

    bounded = multiple is not None or highest is not None or lowest is not None
    return (check_number,) if kind == "integer" or bounded or limit < math.inf else ()


def _is_multiple(value: float, factor: float) -> bool:
    if not factor:
        return False
    if isinstance(value, int) and float(factor).is_integer():
        return value % int(factor) == 0
    return (value / factor).is_integer()


def _go_number(bound: float, value: float) -> str:
    """Writes a bound as Go does beside this value: whole beside whole numbers."""
    if isinstance(value, int) and float(bound).is_integer():
        return str(int(bound))
    number = Decimal(repr(float(bound))).normalize()
    exponent = number.adjusted()
    if -4 <= exponent < 6:
        return f"{number:f}"
    digits = "".join(map(str, number.as_tuple().digits))
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{'-' if number < 0 else ''}{digits[0]}{fraction}e{exponent:+03d}"


def _sizes(raw: Mapping[str, Any], member: str, word: str) -> tuple[Check, ...]:
    fewest, most = raw.get(f"min{member}"), raw.get(f"max{member}")
    if fewest is None and most is None:
        return ()

    def check_size(value: Any, at: At, report: Report) -> None:
        if fewest is not None and len(value) < fewest:
            report.invalid(at, len(value), f"should have at least {fewest} {word}")
        if most is not None and len(value) > most:
            report.too_many(at, len(value), most)

    return (check_size,)


def _members(raw: Mapping[str, Any]) -> tuple[Check, ...]:
    names = raw.get("required") or ()
    known = raw.get("properties") or {}
    closed = raw.get("additionalProperties") is False

    def check_members(value: dict[str, Any], at: At, report: Report) -> None:
        if closed:
            for name in value:
                if name not in known:
                    text = f"{dotted(at)}.{name} in body is a forbidden property"
                    report.append(invalid(report.field((at, name)), "", text))
        for name in names:
            if name not in value:
                report.append(required(report.field((at, name))))

    return (check_members,) if names or closed else ()


def _enumeration(allowed: list[Any]) -> Check:
    names = ", ".join(quote(item if isinstance(item, str) else quote(item)) for item in allowed)
    plain = frozenset(item for item in allowed if isinstance(item, str))

    def check_enumeration(value: Any, at: At, report: Report) -> None:
        if type(value) is str:
            if value in plain:
                return
        elif any(same(value, item) for item in allowed):
            return
        if not report.is_full:  # the names may be long
            text = f"Unsupported value: {quote(value)}: supported values: {names}"
            report.append(FieldError("FieldValueNotSupported", report.field(at), text))

    return check_enumeration


# -- combinations


def _combinations(raw: Mapping[str, Any]) -> tuple[Check, ...]:
    checks: list[Check] = []
    for name, make in (("anyOf", _any_of), ("oneOf", _one_of), ("allOf", _all_of)):
        if raw.get(name) and not (raw.get("x-kubernetes-int-or-string") and raw[name] == INT_OR_STRING):
            checks.append(make([Node(item) for item in raw[name]]))
    if raw.get("not") is not None:
        checks.append(_not(Node(raw["not"])))
    return tuple(checks)


class _Unfit(Exception):
    pass


class _Probe(Report):
    """Ends a check at its first fault, before a word about it is put together."""

    def field(self, at: At) -> str:
        raise _Unfit

    def invalid(self, at: At, value: object, rule: str) -> None:
        raise _Unfit

    def wrong_type(self, at: At, value: object, expected: str, shown: str) -> None:
        raise _Unfit

    def too_many(self, at: At, count: int, limit: int) -> None:
        raise _Unfit

    def general(self, text: str) -> None:
        raise _Unfit


_PROBE = _Probe()


def _fits(node: Node, value: Any) -> bool:
    try:
        check_value(node, value, None, _PROBE)
    except _Unfit:
        return False
    return True


def _any_of(nodes: list[Node]) -> Check:
    def check_any(value: Any, at: At, report: Report) -> None:
        if not any(_fits(node, value) for node in nodes):
            report.general(f'"{dotted(at)}" must validate at least one schema (anyOf)')
            check_value(nodes[0], value, at, report)

    return check_any


def _one_of(nodes: list[Node]) -> Check:
    def check_one(value: Any, at: At, report: Report) -> None:
        valid = sum(_fits(node, value) for node in nodes)
        if valid != 1:
            how = f"Found {valid} valid alternatives" if valid else "Found none valid"
            report.general(f'"{dotted(at)}" must validate one and only one schema (oneOf). {how}')
            if not valid:
                check_value(nodes[0], value, at, report)

    return check_one


def _all_of(nodes: list[Node]) -> Check:
    def check_all(value: Any, at: At, report: Report) -> None:
        unfit = [node for node in nodes if not _fits(node, value)]
        for node in unfit:
            check_value(node, value, at, report)
        if unfit:
            how = ". None validated" if len(unfit) == len(nodes) else ""
            report.general(f'"{dotted(at)}" must validate all the schemas (allOf){how}')

    return check_all


def _not(node: Node) -> Check:
    def check_not(value: Any, at: At, report: Report) -> None:
        if _fits(node, value):
            report.general(f'"{dotted(at)}" must not validate the schema (not)')

    return check_not
