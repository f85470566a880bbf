"""Whether a user may: every request passes here with its identity. The one mode so far is AlwaysAllow."""

from __future__ import annotations

from typing import Protocol

from apimachinery.errors import Forbidden
from apiserver.authn import User
from apiserver.request import RequestInfo

ALWAYS_ALLOW = "AlwaysAllow"
MODES = (ALWAYS_ALLOW,)


class Authorizer(Protocol):
    def allows(self, user: User, info: RequestInfo) -> str:
        """ "" when allowed, else why not."""
        ...


class AlwaysAllow:
    def allows(self, user: User, info: RequestInfo) -> str:
        return ""


def check(authorizer: Authorizer, user: User, info: RequestInfo) -> None:
    """Raises: Forbidden with upstream's wording."""
    reason = authorizer.allows(user, info)
    if not reason:
        return
    if not info.is_resource:
        raise Forbidden(f'forbidden: User "{user.name}" cannot {info.verb} path "{info.path}": {reason}')
    target = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f' in the namespace "{info.namespace}"' if info.namespace else " at the cluster scope"
    name = f' "{info.name}"' if info.name else ""
    raise Forbidden(
        f'{info.resource}{"." + info.group if info.group else ""}{name} is forbidden: User "{user.name}" cannot '
        f'{info.verb} resource "{target}" in API group "{info.group}"{where}: {reason}',
        {"name": info.name, "group": info.group, "kind": info.resource},
    )
