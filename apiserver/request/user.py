"""The sender of a request, as far as the credential tells."""

from __future__ import annotations

from dataclasses import dataclass

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Further facts of the credential, such as the token's id or the pod that it was issued for."""
    impersonator: User | None = None
    """The user who sent the request, where it runs in the name of this one."""


ANONYMOUS = User("system:anonymous", "", (UNAUTHENTICATED,))
"""The sender of a request without a credential."""


def node_of(user: User) -> str | None:
    """Returns the name of the node whose kubelet this is, "" if it can't be told; None for all other users."""
    if not user.name.startswith(NODE_PREFIX) or NODES not in user.groups:
        return None
    return user.name.removeprefix(NODE_PREFIX)


def user_of_subject(subject: tuple[tuple[tuple[str, str], ...], ...], digest: str = "") -> User | None:
    """The user a verified certificate stands for, from the subject as `ssl` gives it; None without a common name.

    `digest` is the certificate's SHA-256, which tells credentials of one user apart.
    """
    name, groups = "", []
    for relative_name in subject:
        for kind, value in relative_name:
            if kind == "commonName":
                name = value
            elif kind == "organizationName":
                groups.append(value)
    extra = ((CREDENTIAL_ID, (f"X509SHA256={digest}",)),) if digest else ()
    return User(name, "", (*groups, AUTHENTICATED), extra) if name else None
