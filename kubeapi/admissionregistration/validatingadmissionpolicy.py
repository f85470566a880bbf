"""ValidatingAdmissionPolicy: refuses, warns of or notes requests by expressions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Condition, Object
from apimachinery.model import Atomic, Int64, ListMapKeys, MergeKey, Model
from apimachinery.names import qualified_name_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.admissionregistration._expressions import BOOLEAN, TEXT, TEXT_OR_NULL, Scope, check_expression
from kubeapi.admissionregistration._matching import MatchResources, default_match
from kubeapi.admissionregistration._policy import ParamKind, Variable, param_kind_cell
from kubeapi.admissionregistration._rules import (
    FAIL,
    GROUP,
    MatchCondition,
)
from kubeapi.admissionregistration._variables import check_matching_part, check_variables

REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
MAX_AUDIT_ANNOTATIONS = 20
MAX_EXPRESSION_BYTES = 5 * 1024  # of an audit annotation's
MAX_MESSAGE_EXPRESSION_BYTES = 5 * 1024


class Validation(Model, protobuf="expression message reason* messageExpression"):
    """A condition that requests must meet."""

    expression: str = ""
    """The CEL expression that is true for a request that may pass."""
    message: str | None = None
    """The message for a request that may not: one line. Default: "failed expression: ..."."""
    reason: str | None = None
    """The reason in the answer: Forbidden, Invalid or RequestEntityTooLarge. Default: Invalid."""
    messageExpression: str | None = None
    """A CEL expression that gives the message, instead of `message`, which is used if it fails."""


class AuditAnnotation(Model, protobuf="key valueExpression"):
    """An annotation of the audit event."""

    key: str = ""
    """The key; "POLICY/" is put in front of it."""
    valueExpression: str = ""
    """The CEL expression that gives the text; null leaves the annotation out."""


class ExpressionWarning(Model, protobuf="- fieldRef warning"):
    """A warning about one expression."""

    fieldRef: str = ""
    """The path of the field with the expression."""
    warning: str = ""
    """What is wrong, for each type that the expression may meet."""


class TypeChecking(Model, protobuf="expressionWarnings"):
    """What was found when the expressions were checked against the schemas of the matched kinds."""

    expressionWarnings: Annotated[list[ExpressionWarning], Atomic()] | None = None
    """The warnings, by expression."""


class ValidatingAdmissionPolicyStatus(Model, protobuf="observedGeneration typeChecking* conditions"):
    """The observed state of a policy."""

    observedGeneration: Int64 | None = None
    """The generation of the policy that was checked last."""
    typeChecking: TypeChecking | None = None
    """What the check of types found; absent until it was made."""
    conditions: Annotated[list[Condition], ListMapKeys("type")] | None = None
    """Observations of the policy."""


class ValidatingAdmissionPolicySpec(
    Model,
    protobuf="paramKind* matchConstraints* validations failurePolicy* auditAnnotations matchConditions variables",
):
    """The requests that a policy is about, and its conditions."""

    paramKind: ParamKind | None = None
    """The kind of objects with parameters, which expressions see as `params`. Default: none."""
    matchConstraints: MatchResources | None = None
    """The requests that the policy is about; needed."""
    validations: Annotated[list[Validation], Atomic()] | None = None
    """The conditions; there must be one here or in `auditAnnotations`."""
    failurePolicy: str | None = None
    """What becomes of a request if the policy can't be evaluated: `Fail` refuses it, `Ignore` lets it pass. Default:
    Fail."""
    auditAnnotations: Annotated[list[AuditAnnotation], Atomic()] | None = None
    """Annotations of the audit event."""
    matchConditions: Annotated[list[MatchCondition], MergeKey("name"), ListMapKeys("name")] | None = None
    """Further conditions on the requests that the policy is about; all must be true."""
    variables: Annotated[list[Variable], MergeKey("name"), ListMapKeys("name")] | None = None
    """Values that the expressions use, in an order in which each uses those before it."""


class ValidatingAdmissionPolicy(Object, protobuf="metadata spec status"):
    """Conditions on requests, written as expressions. A binding puts it into force."""

    spec: ValidatingAdmissionPolicySpec = Field(default_factory=ValidatingAdmissionPolicySpec)
    """The requests that the policy is about, and its conditions."""
    status: ValidatingAdmissionPolicyStatus = Field(default_factory=ValidatingAdmissionPolicyStatus)
    """The observed state."""


class ValidatingAdmissionPolicyStrategy(Strategy[ValidatingAdmissionPolicy]):
    """Source: Kubernetes documentation, "Validating Admission Policy"."""

    plain_finalizers = True
    compiles = True

    def default(self, obj: ValidatingAdmissionPolicy) -> None:
        obj.spec.failurePolicy = obj.spec.failurePolicy or FAIL
        default_match(obj.spec.matchConstraints)

    def validate(self, obj: ValidatingAdmissionPolicy) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        path: Path = ("spec",)
        scope = Scope(has_params=spec.paramKind is not None)
        check_matching_part(errors, path, spec, scope)
        check_variables(errors, (*path, "variables"), spec.variables or (), scope)
        if not spec.validations and not spec.auditAnnotations:
            for member in ("validations", "auditAnnotations"):
                text = "validations or auditAnnotations must contain at least one item"
                errors.required((*path, member), text)
        for index, validation in enumerate(spec.validations or ()):
            _check_validation(errors, (*path, "validations", index), validation, scope)
        _check_annotations(errors, (*path, "auditAnnotations"), obj.name, spec.auditAnnotations or [], scope)
        return errors


def _check_validation(errors: Errors, path: Path, validation: Validation, scope: Scope) -> None:
    check_expression(errors, (*path, "expression"), validation.expression, scope, expected=BOOLEAN)
    if validation.messageExpression is not None and validation.messageExpression.strip():
        at = (*path, "messageExpression")
        check_expression(errors, at, validation.messageExpression, scope, expected=TEXT, authorizer=False)
    elif validation.messageExpression:
        errors.required((*path, "messageExpression"), "must be non-empty if specified")
    message = validation.message
    if message is not None:
        if message and not message.strip():
            errors.invalid((*path, "message"), message, "message must be non-empty if specified")
        elif "\n" in message or "\r" in message:
            errors.invalid((*path, "message"), message, "must not contain line breaks")
    if validation.reason is not None and validation.reason not in REASONS:
        errors.not_supported((*path, "reason"), validation.reason, REASONS)


def _check_annotations(
    errors: Errors, path: Path, policy: str, annotations: list[AuditAnnotation], scope: Scope
) -> None:
    if len(annotations) > MAX_AUDIT_ANNOTATIONS:
        text = f"must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations"
        errors.invalid(path, [item.key for item in annotations], text)
    keys: set[str] = set()
    for index, annotation in enumerate(annotations):
        at = (*path, index)
        if not annotation.key:
            errors.required((*at, "key"))
        else:
            full = f"{policy}/{annotation.key}"
            errors.check_messages((*at, "key"), full, qualified_name_errors(full))
        check_expression(errors, (*at, "valueExpression"), annotation.valueExpression, scope, expected=TEXT_OR_NULL)
        if annotation.key in keys:
            errors.duplicate((*at, "key"), annotation.key)
        keys.add(annotation.key)


RESOURCE = Resource(
    kind="ValidatingAdmissionPolicy",
    plural="validatingadmissionpolicies",
    model=ValidatingAdmissionPolicy,
    group=GROUP,
    namespaced=False,
    categories=("api-extensions",),
    strategy=ValidatingAdmissionPolicyStrategy(),
    status=True,
    columns=(
        NAME,
        Column("Validations", lambda obj, now: len(obj.spec.validations or ()), "The conditions.", "integer"),
        Column("ParamKind", lambda obj, now: param_kind_cell(obj.spec.paramKind), "The kind of its parameters."),
        AGE,
    ),
)
