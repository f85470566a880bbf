"""ValidatingAdmissionPolicy: requests that a policy's expressions refuse are refused, warned of or noted.

Source: Kubernetes documentation, "Validating Admission Policy".
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from apimachinery.errors import StatusError
from apiserver.admission._index import Candidate
from apiserver.admission._matching import OPERATIONS
from apiserver.admission._plugin import Attributes, Lookup, Plugin
from apiserver.admission._review import Review
from apiserver.admission.policies._evaluation import (
    Evaluation,
    OutOfBudget,
    conditions_hold,
    request_values,
    within_reach,
)
from apiserver.admission.policies._metrics import NO_ERROR, PolicyMetrics
from apiserver.admission.policies._policies import (
    Bound,
    Compiled,
    NotConfigured,
    Params,
    Policy,
    PolicySet,
    compile_parts,
    denied,
)
from kubeapi.admissionregistration._expressions import BOOLEAN, TEXT, TEXT_OR_NULL, Scope
from kubeapi.admissionregistration._rules import GROUP
from kubeapi.admissionregistration.validatingadmissionpolicy import ValidatingAdmissionPolicy
from kubecel import EvaluationError, Program

MAX_MESSAGE_BYTES = 5 * 1024
MAX_ANNOTATION_BYTES = 10 * 1024
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure"


@dataclass(frozen=True)
class CompiledValidation:
    program: Program
    message: str
    message_program: Program | None
    reason: str


@dataclass(frozen=True)
class ValidatingPolicy(Compiled):
    validations: Sequence[CompiledValidation]
    annotations: Sequence[tuple[str, Program]]

    def programs(self) -> Iterator[Program]:
        yield from super().programs()
        for validation in self.validations:
            yield validation.program
            if validation.message_program is not None:
                yield validation.message_program
        yield from (program for _, program in self.annotations)


@dataclass(frozen=True)
class Denial:
    """A condition that is not met, or could not be evaluated."""

    message: str
    reason: str = ""
    index: int = 0
    """The place of the expression in the policy."""
    error: str = NO_ERROR
    """The kind of error, for metrics."""
    always_denies: bool = False
    """Whether the request is refused whatever the binding's actions are."""


@dataclass
class Outcome:
    """What one policy found with one set of parameters."""

    denials: list[Denial] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass
class Verdict:
    """What all policies found."""

    refusals: list[tuple[str, str]] = field(default_factory=list)
    """(message, reason), in order."""
    failures: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[str, list[str]] = field(default_factory=dict)


def compile_policy(policy: ValidatingAdmissionPolicy) -> ValidatingPolicy:
    """Raises: CompileError."""
    spec = policy.spec
    scope = Scope(has_params=spec.paramKind is not None)
    validations: list[CompiledValidation] = []
    conditions, variables = compile_parts(spec, scope)
    for item in spec.validations or ():
        text = (item.messageExpression or "").strip()
        message = scope.compile(text, expected=TEXT, authorizer=False) if text else None
        program = scope.compile(item.expression, expected=BOOLEAN)
        shown = (item.message or "").strip() or f"failed expression: {item.expression.strip()}"
        validations.append(CompiledValidation(program, shown, message, item.reason or "Invalid"))
    annotations = [
        (f"{policy.name}/{annotation.key}", scope.compile(annotation.valueExpression, expected=TEXT_OR_NULL))
        for annotation in spec.auditAnnotations or ()
    ]
    return ValidatingPolicy(conditions, variables, validations, annotations)


class ValidatingPolicies:
    """The state of the plugin in one server."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._set = PolicySet(
            lookup,
            lookup.resource("validatingadmissionpolicies", GROUP),
            lookup.resource("validatingadmissionpolicybindings", GROUP),
            compile_policy,
            converts=True,
        )
        self._params = Params(lookup)
        self.metrics = PolicyMetrics("apiserver_validating_admission_policy")

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Raises: StatusError."""
        policies = self._set.about(attributes)
        if not policies:
            return None
        review = Review(attributes, self._lookup)
        verdict = Verdict()
        for place, candidate in enumerate(policies):
            waiting = self._check(candidate, review, verdict)
            if waiting is not None:
                return self._check_rest(waiting, policies[place + 1 :], review, verdict)
        _conclude(attributes, verdict)
        return None

    async def _check_rest(
        self,
        waiting: Awaitable[None],
        policies: Sequence[Candidate[Bound[ValidatingPolicy]]],
        review: Review,
        verdict: Verdict,
    ) -> None:
        await waiting
        for candidate in policies:
            if (more := self._check(candidate, review, verdict)) is not None:
                await more
        _conclude(review.attributes, verdict)

    def _check(
        self, candidate: Candidate[Bound[ValidatingPolicy]], review: Review, verdict: Verdict
    ) -> Awaitable[None] | None:
        """Evaluates one policy, with each of its parameters, and adds what it found."""
        bound, version = candidate.subject, candidate.version
        policy, started = bound.policy, time.perf_counter()
        try:
            if policy.fault:
                raise NotConfigured(policy.fault)
            params = self._params.of(bound, review.attributes.namespace)
        except NotConfigured as error:
            self._add(bound, _not_configured(policy, error), review, verdict, started)
            return None
        if params and review.unconverted(version):
            return self._check_converted(candidate, review, verdict)
        outcomes = within_reach(review, partial(_evaluate_all, policy, review.in_version(version), params))
        if isinstance(outcomes, list):
            for outcome in outcomes:
                self._add(bound, outcome, review, verdict, started)
            return None
        return self._add_later(outcomes, bound, review, verdict, started)

    async def _check_converted(
        self, candidate: Candidate[Bound[ValidatingPolicy]], review: Review, verdict: Verdict
    ) -> None:
        """The same, once a webhook has brought the objects into the version that the policy is about."""
        bound, started = candidate.subject, time.perf_counter()
        try:
            await review.convert(candidate.version, review.document())
        except StatusError as error:
            fault = NotConfigured(f"failed to convert object version: {error.message}")
            self._add(bound, _not_configured(bound.policy, fault), review, verdict, started)
            return
        if (more := self._check(candidate, review, verdict)) is not None:
            await more

    async def _add_later(
        self,
        pending: Awaitable[list[Outcome]],
        bound: Bound[ValidatingPolicy],
        review: Review,
        verdict: Verdict,
        started: float,
    ) -> None:
        for outcome in await pending:
            self._add(bound, outcome, review, verdict, started)

    def _add(
        self, bound: Bound[ValidatingPolicy], outcome: Outcome, review: Review, verdict: Verdict, started: float
    ) -> None:
        name, seconds = bound.policy.name, time.perf_counter() - started
        actions = getattr(bound.spec, "validationActions", None) or []
        who = f"ValidatingAdmissionPolicy '{name}' with binding '{bound.binding}'"
        if not outcome.denials:
            self.metrics.observe(name, bound.binding, NO_ERROR, "allow", seconds)
        for denial in outcome.denials:
            for action in actions:
                self.metrics.observe(name, bound.binding, denial.error, action.lower(), seconds)
            if "Deny" in actions or denial.always_denies:
                verdict.refusals.append((f"{who} denied request: {denial.message}", denial.reason))
            if "Warn" in actions:
                review.attributes.warn(f"Validation failed for {who}: {denial.message}")
            if "Audit" in actions:
                verdict.failures.append(
                    {
                        "message": denial.message,
                        "policy": name,
                        "binding": bound.binding,
                        "expressionIndex": denial.index,
                        "validationActions": actions,
                    }
                )
        for key, value in outcome.annotations.items():
            values = verdict.annotations.setdefault(key, [])
            if value not in values:
                values.append(value)


def _evaluate_all(
    policy: Policy[ValidatingPolicy], review: Review, params: Sequence[dict[str, Any] | None], inline: bool
) -> list[Outcome]:
    try:
        compiled = policy.compiled(inline=inline)
    except NotConfigured as error:
        return [_not_configured(policy, error)]
    document = review.document() if "object" in compiled.uses else None
    values = (request_values(review, compiled.uses, document, param) for param in params)
    return [_evaluate(compiled, policy.fails, Evaluation(each, compiled.variables, inline=inline)) for each in values]


def _not_configured(policy: Policy[ValidatingPolicy], error: NotConfigured) -> Outcome:
    if not policy.fails:
        return Outcome()
    return Outcome([Denial(f"failed to configure binding: {error}", error="invalid_error", always_denies=True)])


def _evaluate(policy: ValidatingPolicy, fails: bool, evaluation: Evaluation) -> Outcome:
    outcome = Outcome()
    try:
        if not conditions_hold(policy.conditions, evaluation):
            return outcome
        for index, validation in enumerate(policy.validations):
            try:
                if evaluation.value(validation.program) is not True:
                    message = _message(validation, evaluation)
                    outcome.denials.append(Denial(message, validation.reason, index))
            except EvaluationError as error:
                if fails:
                    outcome.denials.append(Denial(str(error), index=index, error="invalid_error"))
        for key, program in policy.annotations:
            _annotate(outcome, fails, evaluation, key, program)
    except EvaluationError as error:
        if fails:
            outcome.denials.append(Denial(str(error), error="invalid_error"))
    except OutOfBudget:
        if fails:
            outcome.denials.append(Denial(OUT_OF_BUDGET, error="out_of_budget"))
    return outcome


def _annotate(outcome: Outcome, fails: bool, evaluation: Evaluation, key: str, program: Program) -> None:
    try:
        value = evaluation.value(program)
    except EvaluationError as error:
        if fails:
            outcome.denials.append(Denial(str(error), error="invalid_error", always_denies=True))
        return
    if isinstance(value, str) and value.strip():
        outcome.annotations[key] = value.strip().encode()[:MAX_ANNOTATION_BYTES].decode(errors="ignore")


def _message(validation: CompiledValidation, evaluation: Evaluation) -> str:
    if validation.message_program is None:
        return validation.message
    try:
        value = evaluation.value(validation.message_program)
    except EvaluationError:
        return validation.message
    text = value.strip() if isinstance(value, str) else ""
    return text if text and "\n" not in text and len(text.encode()) <= MAX_MESSAGE_BYTES else validation.message


def _conclude(attributes: Attributes, verdict: Verdict) -> None:
    """Notes what was found. Raises: StatusError."""
    for key, values in verdict.annotations.items():
        attributes.annotate(key, ", ".join(values))
    if verdict.failures:
        attributes.annotate(FAILURE_ANNOTATION, orjson.dumps(verdict.failures).decode())
    if verdict.refusals:
        message, reason = verdict.refusals[0]
        raise denied(attributes, message, reason or "Invalid")


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    return lookup.state(ValidatingPolicies).validate(attributes)


ADMISSION = Plugin("ValidatingAdmissionPolicy", OPERATIONS, validate=admit)
