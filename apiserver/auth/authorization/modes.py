"""The modes of `--authorization-mode`, and the authorizer that a list of them makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apiserver.auth.authorization.authorizer import AlwaysAllow, AlwaysDeny, Authorizer, InTurn, Masters
from apiserver.auth.authorization.node import NodeAuthorizer
from apiserver.auth.authorization.rbac import Rbac
from apiserver.auth.authorization.webhook import Webhook, WebhookSettings
from apiserver.storage import CachedStorage
from componentbase.clock import Clock

ALWAYS_ALLOW, WEBHOOK = "AlwaysAllow", "Webhook"


@dataclass(frozen=True, slots=True)
class Sources:
    """The parts of the server that authorizers are made from."""

    storage: CachedStorage
    rbac: Rbac
    clock: Clock
    webhook: WebhookSettings | None
    """None where the mode is not listed."""

    def make_webhook(self) -> Webhook:
        """Raises: ConfigError."""
        if self.webhook is None:
            raise ValueError("the mode Webhook has no settings")
        return Webhook(self.webhook, self.clock)


MODES: dict[str, Callable[[Sources], Authorizer]] = {
    ALWAYS_ALLOW: lambda sources: AlwaysAllow(),
    "AlwaysDeny": lambda sources: AlwaysDeny(),
    "Node": lambda sources: NodeAuthorizer(sources.storage),
    "RBAC": lambda sources: sources.rbac,
    WEBHOOK: Sources.make_webhook,
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
    """Raises: ConfigError for a kubeconfig of the webhook that can't be used."""
    if modes[0] == ALWAYS_ALLOW:
        return AlwaysAllow()
    return InTurn([Masters(), *(MODES[mode](sources) for mode in modes)])
