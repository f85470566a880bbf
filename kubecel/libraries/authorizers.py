"""Questions to the authorizer: authorizer.group("apps").resource("deployments").check("create").allowed()

The variable `authorizer` is an `Authorizer` of the caller, whose `decide` answers at once.
Source: Kubernetes documentation, "CEL in Kubernetes", "Kubernetes authorizer library".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from kubecel.functions import Library, fixed
from kubecel.types import Type
from kubecel.values import EvaluationError, Opaque

LIBRARY = Library("authorizers")
CHECK = fixed(350_000)


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class Decision(Opaque):
    allowed: bool
    reason: str = ""
    error: str = ""
    type: ClassVar[Type] = Type("kubernetes.authorization.Decision")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a resource request, or one for a `path`. `account` is (namespace, name) of a service account that
    is asked about instead of the user."""

    account: tuple[str, str] | None = None
    path: str | None = None
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    verb: str = ""


Decide = Callable[[Question], Decision]


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class Authorizer(Opaque):
    decide: Decide
    question: Question = field(default_factory=Question)
    type: ClassVar[Type] = Type("kubernetes.authorization.Authorizer")


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class PathCheck(Opaque):
    decide: Decide
    question: Question
    type: ClassVar[Type] = Type("kubernetes.authorization.PathCheck")


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class GroupCheck(Opaque):
    decide: Decide
    question: Question
    type: ClassVar[Type] = Type("kubernetes.authorization.GroupCheck")


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class ResourceCheck(Opaque):
    decide: Decide
    question: Question
    type: ClassVar[Type] = Type("kubernetes.authorization.ResourceCheck")


@LIBRARY("kubernetes.authorization.Authorizer.path(string): kubernetes.authorization.PathCheck")
def path(asked: Authorizer, text: str) -> PathCheck:
    if not text:
        raise EvaluationError("path must not be empty")
    return PathCheck(asked.decide, replace(asked.question, path=text))


@LIBRARY("kubernetes.authorization.Authorizer.serviceAccount(string, string): kubernetes.authorization.Authorizer")
def service_account(asked: Authorizer, namespace: str, name: str) -> Authorizer:
    return Authorizer(asked.decide, replace(asked.question, account=(namespace, name)))


@LIBRARY("kubernetes.authorization.Authorizer.group(string): kubernetes.authorization.GroupCheck")
def group(asked: Authorizer, text: str) -> GroupCheck:
    return GroupCheck(asked.decide, replace(asked.question, group=text))


@LIBRARY("kubernetes.authorization.GroupCheck.resource(string): kubernetes.authorization.ResourceCheck")
def resource(asked: GroupCheck, text: str) -> ResourceCheck:
    return ResourceCheck(asked.decide, replace(asked.question, resource=text))


def _refine(function: str, attribute: str) -> None:
    def refine(asked: ResourceCheck, text: str) -> ResourceCheck:
        changed: Any = {attribute: text}
        return ResourceCheck(asked.decide, replace(asked.question, **changed))

    LIBRARY.add(
        f"kubernetes.authorization.ResourceCheck.{function}(string): kubernetes.authorization.ResourceCheck", refine
    )


for function_name, attribute_name in (
    ("subresource", "subresource"),
    ("namespace", "namespace"),
    ("name", "name"),
    ("fieldSelector", "field_selector"),
    ("labelSelector", "label_selector"),
):
    _refine(function_name, attribute_name)


def _check(asked: PathCheck | ResourceCheck, verb: str) -> Decision:
    return asked.decide(replace(asked.question, verb=verb))


_DECISION = "kubernetes.authorization.Decision"
LIBRARY.add(f"kubernetes.authorization.PathCheck.check(string): {_DECISION}", _check, cost=CHECK)
LIBRARY.add(f"kubernetes.authorization.ResourceCheck.check(string): {_DECISION}", _check, cost=CHECK)
LIBRARY.add(f"{_DECISION}.allowed(): bool", lambda decision: decision.allowed)
LIBRARY.add(f"{_DECISION}.reason(): string", lambda decision: decision.reason)
LIBRARY.add(f"{_DECISION}.error(): string", lambda decision: decision.error)
LIBRARY.add(f"{_DECISION}.errored(): bool", lambda decision: bool(decision.error))
