"""The sender of a request, as far as the credential tells."""

from __future__ import annotations

from dataclasses import dataclass

from kubeapi.core.node import NODE_GROUP, NODE_USER_PREFIX

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
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
APISERVER = User("system:apiserver", "", (MASTERS,))
"""The identity of the server's own writes."""


def node_of(user: User) -> str | None:
    """Returns the name of the node whose kubelet this is, "" if it can't be told; None for all other users."""
    if not user.name.startswith(NODE_USER_PREFIX) or NODE_GROUP not in user.groups:
        return None
    return user.name.removeprefix(NODE_USER_PREFIX)


Subject = tuple[tuple[tuple[str, str], ...], ...]
"""The subject of a certificate as `ssl` gives it."""


def common_name(subject: Subject) -> str:
    """The last of them; "" without one."""
    return next((value for part in reversed(subject) for kind, value in reversed(part) if kind == "commonName"), "")


def user_of_subject(subject: Subject, digest: str = "") -> User | None:
    """The user a verified certificate stands for; None without a common name.

    `digest` is the certificate's SHA-256, which tells credentials of one user apart.
    """
    name = common_name(subject)
    groups = [value for part in subject for kind, value in part if kind == "organizationName"]
    extra = ((CREDENTIAL_ID, (f"X509SHA256={digest}",)),) if digest else ()
    return User(name, "", (*groups, AUTHENTICATED), extra) if name else None
