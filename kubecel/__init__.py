"""The Common Expression Language as Kubernetes speaks it: one engine for all that it decides.

    program = compile_expression("object.spec.replicas <= 5", {"object": DYN}, expected=(BOOL,))
    program.evaluate({"object": {...}})              # -> True; raises EvaluationError or CostExceeded
    program.largest_cost                             # an estimate, for limits at creation

Values are those of JSON as Python has them (`kubecel.values`), types are `kubecel.types`; `kubecel.schemas` makes types
of OpenAPI schemas. A new library of functions is one file in `kubecel/libraries/`.
"""

from __future__ import annotations

from kubecel.program import (
    EXPRESSION_LIMIT,
    Program,
    compile_expression,
)
from kubecel.syntax import CompileError
from kubecel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    Field,
    ObjectType,
    Type,
    list_of,
    map_of,
    optional_of,
)
from kubecel.values import CostExceeded, EvaluationError

__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DURATION",
    "DYN",
    "EXPRESSION_LIMIT",
    "INT",
    "NULL",
    "STRING",
    "TIMESTAMP",
    "CompileError",
    "CostExceeded",
    "EvaluationError",
    "Field",
    "ObjectType",
    "Program",
    "Type",
    "compile_expression",
    "list_of",
    "map_of",
    "optional_of",
]
