"""Decides whether a user may make a request: what an authorizer is, the simple ones, and several of them in turn."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from apimachinery.errors import Forbidden, InternalError, StatusError, object_details, quote, resource_name
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
    def authorize(self, user: User, info: RequestInfo) -> Decision | Awaitable[Decision]:
        """Decides at once from memory; only one that has to ask another server has something to wait for."""
        ...

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
    """Allows everything to the group `system:masters`, which comes before all other authorizers.

    It lists no rules, as upstream: those that the group is bound to tell the same.
    """

    def authorize(self, user: User, info: RequestInfo) -> Decision:
        return ALLOWED if MASTERS in user.groups else NO_OPINION

    def rules(self, user: User, namespace: str) -> Rules:
        return Rules()


class InTurn:
    """Asks authorizers one after the other, until one allows or denies."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = authorizers

    def authorize(self, user: User, info: RequestInfo) -> Decision | Awaitable[Decision]:
        undecided: list[Decision] = []
        for place, authorizer in enumerate(self._authorizers, 1):
            answer = authorizer.authorize(user, info)
            if not isinstance(answer, Decision):
                return self._wait(answer, undecided, self._authorizers[place:], user, info)
            if answer.verdict != "no opinion":
                return answer
            undecided.append(answer)
        return _no_opinion(undecided)

    async def _wait(
        self,
        pending: Awaitable[Decision],
        undecided: list[Decision],
        others: Sequence[Authorizer],
        user: User,
        info: RequestInfo,
    ) -> Decision:
        """Waits for the pending answer, and asks the `others` if it is "no opinion"."""
        decision = await pending
        undecided.append(decision)
        for authorizer in others:
            if decision.verdict != "no opinion":
                break
            decision = await decide(authorizer, user, info)
            undecided.append(decision)
        return decision if decision.verdict != "no opinion" else _no_opinion(undecided)

    def rules(self, user: User, namespace: str) -> Rules:
        answers = [authorizer.rules(user, namespace) for authorizer in self._authorizers]
        return Rules(
            tuple(rule for answer in answers for rule in answer.resources),
            tuple(rule for answer in answers for rule in answer.paths),
            any(answer.incomplete for answer in answers),
            "\n".join(answer.error for answer in answers if answer.error),
        )


def _no_opinion(decisions: Sequence[Decision]) -> Decision:
    reasons = (decision.reason for decision in decisions)
    errors = (decision.error for decision in decisions)
    return Decision("no opinion", "\n".join(filter(None, reasons)), "\n".join(filter(None, errors)))


async def decide(authorizer: Authorizer, user: User, info: RequestInfo) -> Decision:
    answer = authorizer.authorize(user, info)
    return answer if isinstance(answer, Decision) else await answer


def check(authorizer: Authorizer, user: User, info: RequestInfo) -> Awaitable[None] | None:
    """Checks at once, or returns what to wait for, where another server has to be asked.

    Raises: Forbidden with upstream's wording; InternalError if another server was to be asked, and did not answer.
    """
    answer = authorizer.authorize(user, info)
    if not isinstance(answer, Decision):
        return _check_later(answer, user, info)
    if answer is not ALLOWED and not answer.allowed:
        raise _forbidden(answer, user, info)
    return None


async def _check_later(pending: Awaitable[Decision], user: User, info: RequestInfo) -> None:
    decision = await pending
    if not decision.allowed:
        raise _forbidden(decision, user, info)


def _forbidden(decision: Decision, user: User, info: RequestInfo) -> StatusError:
    """Returns the 403; a 500 where the decision failed and nobody else allowed the request."""
    if decision.error:
        return InternalError(f"Internal Server Error: {quote(info.path)}: {decision.error}")
    why = f": {decision.reason}" if decision.reason else ""
    if not info.is_resource:
        return Forbidden(f'forbidden: User "{user.name}" cannot {info.verb} path "{info.path}"{why}', {})
    target = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f' in the namespace "{info.namespace}"' if info.namespace else " at the cluster scope"
    name = f' "{info.name}"' if info.name else ""
    return Forbidden(
        f'{resource_name(info.resource, info.group)}{name} is forbidden: User "{user.name}" cannot {info.verb} '
        f'resource "{target}" in API group "{info.group}"{where}{why}',
        object_details(info.resource, info.group, info.name),
    )


async def check_create(authorizer: Authorizer, user: User, info: RequestInfo) -> None:
    """Checks an update or patch that is about to create the object. Raises: Forbidden."""
    if (pending := check(authorizer, user, info._replace(verb="create"))) is not None:
        await pending
