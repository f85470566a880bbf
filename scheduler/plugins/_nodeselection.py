"""A pod's node selector and required node affinity, evaluated on columns.

Source: Kubernetes, "Assigning Pods to Nodes".
"""

from __future__ import annotations

import numpy as np

from kubeapi.core.pod.affinity import NodeSelectorRequirement, NodeSelectorTerm
from kubeapi.core.pod.nodeselection import NAME_FIELD, required_terms, value_matches
from scheduler.state.shape import Shape
from scheduler.state.table import BoolArray, LabelColumn, NodeTable, Rows


def selects_nodes(shape: Shape) -> bool:
    return bool(shape.spec.nodeSelector) or required_terms(shape.spec.affinity) is not None


def selected(shape: Shape, table: NodeTable, rows: Rows) -> BoolArray:
    """The rows whose nodes match the pod's node selector and one of its required terms."""
    mask = _all(table, rows)
    for key, value in (shape.spec.nodeSelector or {}).items():
        column = table.label(key)
        mask &= _lookup(column, "In", [value])[column.ids[rows]]
    terms = required_terms(shape.spec.affinity)
    if terms is not None:
        any_term = ~_all(table, rows)
        for term in terms:
            any_term |= term_matches(term, table, rows)
        mask &= any_term
    return mask


def term_matches(term: NodeSelectorTerm, table: NodeTable, rows: Rows) -> BoolArray:
    """All of its expressions and fields must hold; an empty term matches no node."""
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
    """The only nodes that can match, where every term names its node by field; else None."""
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
    """For each value number whether it matches; the last element, which -1 finds, is for nodes without the label."""
    found = np.zeros(len(column.values) + 1, np.bool_)
    if operator in ("In", "NotIn"):
        found[column.numbers(values)] = True
        return ~found if operator == "NotIn" else found
    if operator in ("Exists", "DoesNotExist"):
        found[:-1] = True
        return ~found if operator == "DoesNotExist" else found
    for number, value in enumerate(column.values):
        found[number] = value_matches(operator, values, value)
    return found


def _field_matches(requirement: NodeSelectorRequirement, table: NodeTable) -> BoolArray:
    """Over the whole table. `metadata.name` is the only field there is."""
    found = np.zeros(len(table.valid), np.bool_)
    if requirement.key == NAME_FIELD and requirement.operator in ("In", "NotIn"):
        found[[table.rows[name] for name in requirement.values or () if name in table.rows]] = True
        return ~found if requirement.operator == "NotIn" else found
    return found
