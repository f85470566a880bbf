"""MutatingAdmissionPolicy: objects are changed as the expressions of policies say.

Source: Kubernetes documentation, "Mutating Admission Policy".
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.patch.json import json_patch
from apiserver.admission._matching import OPERATIONS
from apiserver.admission._plugin import DELETE, Attributes, Lookup, Plugin
from apiserver.admission._review import Review, Turns
from apiserver.admission.policies._applied import NotApplicable, applied, plain
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
    PolicySet,
    compile_parts,
    denied,
)
from kubeapi.admissionregistration._rules import GROUP
from kubeapi.admissionregistration.mutatingadmissionpolicy import (
    PATCH,
    MutatingAdmissionPolicy,
    expression_of,
    mutation_scope,
)
from kubecel import EvaluationError, Program

OUT_OF_BUDGET = "policy evaluation failed due to running out of cost budget"


@dataclass(frozen=True)
class MutatingPolicy(Compiled):
    mutations: Sequence[tuple[str, Program]]
    """(patchType, program)."""

    def programs(self) -> Iterator[Program]:
        yield from super().programs()
        yield from (program for _, program in self.mutations)


class Failed(Exception):
    """The policy could not be evaluated."""

    def __init__(self, message: str, kind: str = "invalid_error") -> None:
        super().__init__(message)
        self.kind = kind


def compile_policy(policy: MutatingAdmissionPolicy) -> MutatingPolicy:
    """Raises: CompileError."""
    scope = mutation_scope(policy.spec)
    mutations: list[tuple[str, Program]] = []
    conditions, variables = compile_parts(policy.spec, scope)
    for mutation in policy.spec.mutations or ():
        source, expected = expression_of(mutation)
        mutations.append((mutation.patchType, scope.compile(source, expected=(expected,))))
    return MutatingPolicy(conditions, variables, mutations)


class MutatingPolicies:
    """The state of the plugin in one server."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._set = PolicySet(
            lookup,
            lookup.resource("mutatingadmissionpolicies", GROUP),
            lookup.resource("mutatingadmissionpolicybindings", GROUP),
            compile_policy,
            converts=False,
        )
        self._params = Params(lookup)
        self.metrics = PolicyMetrics("apiserver_mutating_admission_policy")

    def mutate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Raises: StatusError."""
        policies = [candidate.subject for candidate in self._set.about(attributes)]
        if not policies or attributes.obj is None:
            return None
        return self._mutate(Review(attributes, self._lookup), policies)

    async def _mutate(self, review: Review, policies: Sequence[Bound[MutatingPolicy]]) -> None:
        """Asks each policy; in the second round those that want it, where the object is not as they have left it."""
        turns = Turns(review)
        document = turns.first
        assert document is not None
        for bound in policies:
            key = "policy", bound.policy.name, bound.binding
            if turns.asks(key, document, again=bound.policy.again):
                document = await self._changed(bound, review, document)
                turns.note(key, document)
        turns.end(document)

    async def _changed(self, bound: Bound[MutatingPolicy], review: Review, document: dict[str, Any]) -> dict[str, Any]:
        """Returns the document as the policy leaves it. Raises: StatusError."""
        policy, started, error, action = bound.policy, time.perf_counter(), NO_ERROR, "allow"
        try:
            if policy.fault:
                raise NotConfigured(policy.fault)
            for param in self._params.of(bound, review.attributes.namespace):
                result = within_reach(review, partial(_evaluated, bound, review, document, param))
                document = result if isinstance(result, Mapping) else await result
        except (NotConfigured, Failed) as failure:
            message = str(failure)
            error = failure.kind if isinstance(failure, Failed) else "invalid_error"
            if isinstance(failure, NotConfigured):
                message = f"failed to configure binding: {message}"
            if policy.fails:
                action = "deny"
                text = f"policy '{policy.name}' with binding '{bound.binding}' denied request: {message}"
                raise denied(review.attributes, text, whole=True) from None
        finally:
            self.metrics.observe(policy.name, bound.binding, error, action, time.perf_counter() - started)
        return document


def _evaluated(
    bound: Bound[MutatingPolicy],
    review: Review,
    document: dict[str, Any],
    param: dict[str, Any] | None,
    inline: bool,
) -> dict[str, Any]:
    """Raises: Failed, NotConfigured."""
    policy = bound.policy.compiled(inline=inline)
    values = request_values(review, policy.uses, document, param)
    try:
        for patch_type, program in policy.mutations:
            evaluation = Evaluation({**values, "object": document}, policy.variables, inline=inline)
            if not conditions_hold(policy.conditions, evaluation):
                return document
            change = plain(evaluation.value(program), names_checked=patch_type != PATCH)
            if patch_type == PATCH:
                document = json_patch(document, change)
            else:
                document = applied(document, change, review.attributes.resource)
    except (EvaluationError, NotApplicable) as error:
        raise Failed(str(error)) from None
    except StatusError as error:
        raise Failed(f"JSON Patch: {error.message}") from None
    except OutOfBudget:
        raise Failed(OUT_OF_BUDGET, "out_of_budget") from None
    return document


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    return lookup.state(MutatingPolicies).mutate(attributes)


ADMISSION = Plugin("MutatingAdmissionPolicy", OPERATIONS - {DELETE}, mutate=admit)
