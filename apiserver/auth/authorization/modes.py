"""The modes of `--authorization-mode`, and the authorizer that a list of them makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apiserver.auth.authorization.authorizer import AlwaysAllow, AlwaysDeny, Authorizer, InTurn, Masters
from apiserver.auth.authorization.node import NodeAuthorizer
from apiserver.auth.authorization.rbac import Rbac
from apiserver.storage import CachedStorage

ALWAYS_ALLOW = "AlwaysAllow"


@dataclass(frozen=True, slots=True)
class Sources:
    """What the authorizers decide by."""

    storage: CachedStorage
    rbac: Rbac


MODES: dict[str, Callable[[Sources], Authorizer]] = {
    ALWAYS_ALLOW: lambda sources: AlwaysAllow(),
    "AlwaysDeny": lambda sources: AlwaysDeny(),
    "Node": lambda sources: NodeAuthorizer(sources.storage),
    "RBAC": lambda sources: sources.rbac,
}


def mode_errors(modes: Sequence[str]) -> list[str]:
    """Lists what is wrong with the value of the flag."""
    if not modes:
        return ["at least one authorization-mode must be passed"]
    errors = [f"{mode} is not implemented; there are {', '.join(MODES)}" for mode in modes if mode not in MODES]
    if len(set(modes)) < len(modes):
        errors.append("a mode is given more than once")
    return errors


def make_authorizer(modes: Sequence[str], sources: Sources) -> Authorizer:
    if modes[0] == ALWAYS_ALLOW:
        return AlwaysAllow()
    return InTurn([Masters(), *(MODES[mode](sources) for mode in modes)])
