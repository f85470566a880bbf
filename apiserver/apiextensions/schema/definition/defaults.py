"""Defaults must themselves be what their schema allows."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from apimachinery.errors import FieldError
from apimachinery.validation import Errors, Path, render
from apiserver.apiextensions.schema import embedded, lists, rules, shaping, values
from apiserver.apiextensions.schema.branches import branch_of
from apiserver.apiextensions.schema.node import Node
from apiserver.apiextensions.schema.same import same


def check_defaults(schema: Mapping[str, Any], at: Path) -> list[FieldError]:
    """Lists the faults in the defaults of a structural schema. Those of further properties are not looked at."""
    errors = Errors()
    _check(errors, schema, at)
    return errors


def _check(errors: Errors, schema: Mapping[str, Any], at: Path) -> None:
    if schema.get("default") is not None:
        _check_default(errors, Node(schema), (*at, "default"))
    if isinstance(items := schema.get("items"), Mapping):
        _check(errors, items, (*at, "items"))
    for name, inner in sorted((schema.get("properties") or {}).items()):
        _check(errors, inner, (*at, "properties", f"[{name}]"))


def _check_default(errors: Errors, node: Node, at: Path) -> None:
    pruned = copy.deepcopy(node.default)
    shaping.prune(pruned, node, None, [])
    if not same(pruned, node.default):
        errors.invalid(at, node.default, "must not have unknown fields")
    where = render(at)
    identities, unique = branch_of(node.raw, embedded.asks), branch_of(node.raw, lists.asks)
    found = embedded.check(identities, node.default) if identities is not None else []
    found = found or values.check(node, node.default)
    if not found and unique is not None:
        found = lists.check(unique, node.default)
    if not found and (with_rules := branch_of(node.raw, rules.asks)) is not None:
        found = rules.Rules(with_rules, is_root=False).check(node.default)
    for error in found:
        inside = "" if error.field == "<nil>" else f".{error.field}"
        errors.append(replace(error, field=where + inside))
