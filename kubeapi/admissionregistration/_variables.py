"""The checks of what policies of both kinds have: matching, conditions, variables."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from apimachinery.names import qualified_name_errors
from apimachinery.validation import Errors, Path
from kubeapi.admissionregistration._expressions import BOOLEAN, Scope, check_expression
from kubeapi.admissionregistration._matching import MatchResources, check_match
from kubeapi.admissionregistration._policy import ParamKind, Variable, check_param_kind
from kubeapi.admissionregistration._rules import FAILURE_POLICIES, OPERATIONS, MatchCondition
from kubecel import DYN
from kubecel.parser import RESERVED

MAX_CONDITIONS = 64
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)


class PolicySpec(Protocol):
    """What both kinds of policies have."""

    paramKind: ParamKind | None
    matchConstraints: MatchResources | None
    failurePolicy: str | None
    matchConditions: Any
    variables: Any


def check_matching_part(
    errors: Errors, path: Path, spec: PolicySpec, scope: Scope, operations: Collection[str] = OPERATIONS
) -> None:
    """Checks the failure policy, the kind of parameters, the constraints and the conditions."""
    errors.check_one_of((*path, "failurePolicy"), spec.failurePolicy, FAILURE_POLICIES)
    check_param_kind(errors, (*path, "paramKind"), spec.paramKind)
    match = spec.matchConstraints
    if match is None:
        errors.required((*path, "matchConstraints"))
    else:
        check_match(errors, (*path, "matchConstraints"), match, operations)
        if not match.resourceRules:
            errors.required((*path, "matchConstraints", "resourceRules"))
    check_match_conditions(errors, (*path, "matchConditions"), spec.matchConditions or (), scope)


def check_match_conditions(errors: Errors, path: Path, conditions: Sequence[MatchCondition], scope: Scope) -> None:
    names: set[str] = set()
    if len(conditions) > MAX_CONDITIONS:
        errors.too_many(path, len(conditions), MAX_CONDITIONS)
    for index, condition in enumerate(conditions):
        at = (*path, index)
        if not condition.expression.strip():
            errors.required((*at, "expression"))
        else:
            check_expression(
                errors, (*at, "expression"), condition.expression, scope, expected=BOOLEAN, variables=False
            )
        if not condition.name:
            errors.required((*at, "name"))
            continue
        errors.check_messages((*at, "name"), condition.name, qualified_name_errors(condition.name))
        if condition.name in names:
            errors.duplicate((*at, "name"), condition.name)
        names.add(condition.name)


def check_variables(errors: Errors, path: Path, variables: Sequence[Variable], scope: Scope) -> None:
    """Checks the variables, and declares each for what stands behind it."""
    if variables:
        scope.declare_variables()
    for index, variable in enumerate(variables):
        at = (*path, index)
        if not variable.name.strip():
            errors.required((*at, "name"), "name is not specified")
        elif not _IDENTIFIER.fullmatch(variable.name) or variable.name in RESERVED:
            errors.invalid((*at, "name"), variable.name, "must be a valid CEL identifier")
        program = check_expression(errors, (*at, "expression"), variable.expression, scope)
        scope.declare(variable.name, program.type if program is not None else DYN)
