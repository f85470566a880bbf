"""Evaluates a pod's node selector and required node affinity on columns.

Source: Kubernetes, "Assigning Pods to Nodes".
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kubeapi.core.pod.scheduling.affinity import NodeSelectorRequirement, NodeSelectorTerm
from kubeapi.core.pod.scheduling.nodeselection import NAME_FIELD, required_terms, value_matches
from scheduler.state.shape import Shape
from scheduler.state.table import BoolArray, LabelColumn, NodeTable, Rows


def selects_nodes(shape: Shape) -> bool:
    return bool(shape.spec.nodeSelector) or required_terms(shape.spec.affinity) is not None


def selected(shape: Shape, table: NodeTable, rows: Rows) -> BoolArray:
    """Returns the rows whose nodes match the pod's node selector and one of its required terms."""
    mask = _all(table, rows)
    for key, value in (shape.spec.nodeSelector or {}).items():
        column = table.label(key)
        mask &= _lookup(column, "In", [value])[column.ids[rows]]
    terms = required_terms(shape.spec.affinity)
    return mask if terms is None else mask & any_matches(terms, table, rows)


def any_matches(terms: Iterable[NodeSelectorTerm], table: NodeTable, rows: Rows) -> BoolArray:
    """Returns the rows whose nodes match one of the terms."""
    mask = ~_all(table, rows)
    for term in terms:
        mask |= term_matches(term, table, rows)
    return mask


def term_matches(term: NodeSelectorTerm, table: NodeTable, rows: Rows) -> BoolArray:
    """Requires all expressions and fields to hold; an empty term matches no node."""
    mask = _all(table, rows)
    if not term.matchExpressions and not term.matchFields:
        return ~mask
    for requirement in term.matchExpressions or ():
        column = table.label(requirement.key)
        mask &= _lookup(column, requirement.operator, requirement.values or [])[column.ids[rows]]
    for requirement in term.matchFields or ():
        mask &= _field_matches(requirement, table)[rows]
    return mask


def named_nodes(terms: list[NodeSelectorTerm]) -> frozenset[str] | None:
    """Returns the only nodes that can match, where every term names its node by field; else None."""
    names: frozenset[str] = frozenset()
    for term in terms:
        lists = [
            frozenset(item.values or ()) for item in term.matchFields or ()
            if item.key == NAME_FIELD and item.operator == "In"
        ]  # fmt: skip
        if not lists:
            return None
        names |= frozenset.intersection(*lists)
    return names


def _all(table: NodeTable, rows: Rows) -> BoolArray:
    return np.ones(len(table.valid[rows]), np.bool_)


def _lookup(column: LabelColumn, operator: str, values: list[str]) -> BoolArray:
    """Tells for each value number whether it matches; the last, which -1 finds, is for nodes without the label."""
    matches = np.zeros(len(column.values) + 1, np.bool_)
    if operator in ("In", "NotIn"):
        matches[column.numbers(values)] = True
        return ~matches if operator == "NotIn" else matches
    if operator in ("Exists", "DoesNotExist"):
        matches[:-1] = True
        return ~matches if operator == "DoesNotExist" else matches
    for number, value in enumerate(column.values):
        matches[number] = value_matches(operator, values, value)
    return matches


def _field_matches(requirement: NodeSelectorRequirement, table: NodeTable) -> BoolArray:
    """Looks at the whole table. `metadata.name` is the only field there is."""
    matches = np.zeros(len(table.valid), np.bool_)
    if requirement.key == NAME_FIELD and requirement.operator in ("In", "NotIn"):
        matches[[table.rows[name] for name in requirement.values or () if name in table.rows]] = True
        return ~matches if requirement.operator == "NotIn" else matches
    return matches
