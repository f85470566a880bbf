"""The modes of `--authorization-mode`, and the authorizer that a list of them makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apiserver.auth.authorization.authorizer import AlwaysAllow, AlwaysDeny, Authorizer, InTurn, Masters
from apiserver.auth.authorization.node import NodeAuthorizer
from apiserver.auth.authorization.rbac import Rbac
from apiserver.storage import CachedStorage

ALWAYS_ALLOW = "AlwaysAllow"
MODES: dict[str, Callable[[CachedStorage], Authorizer]] = {
    ALWAYS_ALLOW: lambda storage: AlwaysAllow(),
    "AlwaysDeny": lambda storage: AlwaysDeny(),
    "Node": NodeAuthorizer,
    "RBAC": Rbac,
}


def mode_errors(modes: Sequence[str]) -> list[str]:
    """Lists what is wrong with the value of the flag."""
    if not modes:
        return ["at least one authorization-mode must be passed"]
    errors = [f"{mode} is not implemented; there are {', '.join(MODES)}" for mode in modes if mode not in MODES]
    if len(set(modes)) < len(modes):
        errors.append("a mode is given more than once")
    return errors


def make_authorizer(modes: Sequence[str], storage: CachedStorage) -> Authorizer:
    if modes[0] == ALWAYS_ALLOW:
        return AlwaysAllow()
    return InTurn([Masters(), *(MODES[mode](storage) for mode in modes)])
