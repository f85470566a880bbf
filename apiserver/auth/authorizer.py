"""Decides whether a user may make a request. The only mode so far is AlwaysAllow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from apimachinery.errors import Forbidden, resource_name
from apiserver.request.info import RequestInfo
from apiserver.request.user import User

ALWAYS_ALLOW = "AlwaysAllow"
MODES = (ALWAYS_ALLOW,)

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


def check(authorizer: Authorizer, user: User, info: RequestInfo) -> None:
    """Raises: Forbidden with upstream's wording."""
    decision = authorizer.authorize(user, info)
    if decision is ALLOWED or decision.allowed:
        return
    why = f": {decision.reason}" if decision.reason else ""
    if not info.is_resource:
        raise Forbidden(f'forbidden: User "{user.name}" cannot {info.verb} path "{info.path}"{why}')
    target = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f' in the namespace "{info.namespace}"' if info.namespace else " at the cluster scope"
    name = f' "{info.name}"' if info.name else ""
    raise Forbidden(
        f'{resource_name(info.resource, info.group)}{name} is forbidden: User "{user.name}" cannot {info.verb} '
        f'resource "{target}" in API group "{info.group}"{where}{why}',
        {"name": info.name, "group": info.group, "kind": info.resource},
    )
