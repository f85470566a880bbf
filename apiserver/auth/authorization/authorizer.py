"""Decides whether a user may make a request: what an authorizer is, the simple ones, and several of them in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from apimachinery.errors import Forbidden, object_details, resource_name
from apiserver.request.info import RequestInfo
from apiserver.request.user import MASTERS, User

Verdict = Literal["allow", "deny", "no opinion"]


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict of an authorizer on a request. "no opinion" refuses too, unless another authorizer allows."""

    verdict: Verdict
    reason: str = ""
    error: str = ""
    """An error that occurred during the decision."""

    @property
    def allowed(self) -> bool:
        return self.verdict == "allow"


ALLOWED = Decision("allow")
NO_OPINION = Decision("no opinion")


@dataclass(frozen=True, slots=True)
class ResourceRule:
    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathRule:
    verbs: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for a user in a namespace, as far as they can be listed."""

    resources: tuple[ResourceRule, ...] = ()
    paths: tuple[PathRule, ...] = ()
    incomplete: bool = False
    error: str = ""


class Authorizer(Protocol):
    def authorize(self, user: User, info: RequestInfo) -> Decision: ...

    def rules(self, user: User, namespace: str) -> Rules: ...


class AlwaysAllow:
    def authorize(self, user: User, info: RequestInfo) -> Decision:
        return ALLOWED

    def rules(self, user: User, namespace: str) -> Rules:
        every = ("*",)
        return Rules((ResourceRule(every, every, every),), (PathRule(every, every),))


class AlwaysDeny:
    def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision("no opinion", "Everything is forbidden.")

    def rules(self, user: User, namespace: str) -> Rules:
        return Rules()


class Masters:
    """Allows everything to the group `system:masters`, which comes before all other authorizers."""

    def authorize(self, user: User, info: RequestInfo) -> Decision:
        return ALLOWED if MASTERS in user.groups else NO_OPINION

    def rules(self, user: User, namespace: str) -> Rules:
        return AlwaysAllow().rules(user, namespace) if MASTERS in user.groups else Rules()


class InTurn:
    """Asks authorizers one after the other, until one allows or denies."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = authorizers

    def authorize(self, user: User, info: RequestInfo) -> Decision:
        reasons, errors = [], []
        for authorizer in self._authorizers:
            decision = authorizer.authorize(user, info)
            if decision.verdict != "no opinion":
                return decision
            reasons.append(decision.reason)
            errors.append(decision.error)
        return Decision("no opinion", "\n".join(filter(None, reasons)), "\n".join(filter(None, errors)))

    def rules(self, user: User, namespace: str) -> Rules:
        answers = [authorizer.rules(user, namespace) for authorizer in self._authorizers]
        return Rules(
            tuple(rule for answer in answers for rule in answer.resources),
            tuple(rule for answer in answers for rule in answer.paths),
            any(answer.incomplete for answer in answers),
            "\n".join(answer.error for answer in answers if answer.error),
        )


def check(authorizer: Authorizer, user: User, info: RequestInfo) -> None:
    """Raises: Forbidden with upstream's wording."""
    decision = authorizer.authorize(user, info)
    if decision is ALLOWED or decision.allowed:
        return
    why = f": {decision.reason}" if decision.reason else ""
    if not info.is_resource:
        raise Forbidden(f'forbidden: User "{user.name}" cannot {info.verb} path "{info.path}"{why}', {})
    target = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f' in the namespace "{info.namespace}"' if info.namespace else " at the cluster scope"
    name = f' "{info.name}"' if info.name else ""
    raise Forbidden(
        f'{resource_name(info.resource, info.group)}{name} is forbidden: User "{user.name}" cannot {info.verb} '
        f'resource "{target}" in API group "{info.group}"{where}{why}',
        object_details(info.resource, info.group, info.name),
    )


def check_create(authorizer: Authorizer, user: User, info: RequestInfo) -> None:
    """Checks an update or patch that is about to create the object. Raises: Forbidden."""
    check(authorizer, user, info._replace(verb="create"))
