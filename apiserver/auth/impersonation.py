"""Impersonation: a request that runs in the name of another user, whom its headers name.

Source: Kubernetes documentation, "User impersonation".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from apimachinery.errors import BadRequest, quote
from apiserver.auth.authentication.tokens import ACCOUNTS_GROUP, USER_PREFIX
from apiserver.auth.authorization.authorizer import Authorizer, check
from apiserver.http.types import Header
from apiserver.request.info import RequestInfo, access
from apiserver.request.user import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User

PREFIX = b"impersonate-"
USER, GROUP, UID = b"impersonate-user", b"impersonate-group", b"impersonate-uid"
EXTRA = b"impersonate-extra-"
GROUPS_OF_ALL = (AUTHENTICATED, UNAUTHENTICATED)
IDENTITY_GROUP = "authentication.k8s.io"


def requested_user(headers: Sequence[Header]) -> User | None:
    """The user that the headers name, with the groups that they name alone; None for headers without a value.

    Header names are in lower case. Raises: BadRequest where a group, a uid or an extra comes without a user.
    """
    name = uid = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for header, raw in headers:
        if not header.startswith(PREFIX):
            continue
        value = raw.decode("utf-8", "replace")
        if header == USER:
            name = name or value
        elif header == GROUP:
            groups.append(value)
        elif header == UID:
            uid = uid or value
        elif header.startswith(EXTRA):
            key = unquote(header.removeprefix(EXTRA).decode("latin-1"))
            extra.setdefault(key, []).append(value)
    user = User(name, uid, tuple(groups), tuple((key, tuple(extra[key])) for key in sorted(extra)))
    if user == User(""):
        return None
    if not name:
        raise BadRequest(f"requested {_printed(user)} without impersonating a user name")
    return user


async def impersonate(headers: list[Header], user: User, authorizer: Authorizer) -> User:
    """The user that the request runs as: the one that its headers name, or `user`, its sender.

    The headers are taken out of the list: nothing behind this server is to act on them again.
    Raises: BadRequest; Forbidden for the first part of the identity that the sender may not take on.
    """
    requested = requested_user(headers)
    headers[:] = [header for header in headers if not header[0].startswith(PREFIX)]
    if requested is None:
        return user
    for info in needed_rights(requested):
        if (pending := check(authorizer, user, info)) is not None:
            await pending
    return User(requested.name, requested.uid, tuple(_all_groups(requested)), requested.extra, user)


def needed_rights(requested: User) -> Iterator[RequestInfo]:
    """Yields a question for each part of the identity, which the authorizer has to allow its sender."""
    if (account := account_of(requested.name)) is not None:
        yield _right("serviceaccounts", account[1], namespace=account[0])
    else:
        yield _right("users", requested.name)
    for group in requested.groups:
        yield _right("groups", group)
    for key, values in requested.extra:
        for value in values:
            yield _right("userextras", value, IDENTITY_GROUP, subresource=key)
    if requested.uid:
        yield _right("uids", requested.uid, IDENTITY_GROUP)


def account_of(user_name: str) -> tuple[str, str] | None:
    """Splits the user name of a service account: "system:serviceaccount:NAMESPACE:NAME"; None for any other user."""
    namespace, colon, name = user_name.removeprefix(USER_PREFIX).partition(":")
    if not (user_name.startswith(USER_PREFIX) and colon and namespace and name) or ":" in name:
        return None
    return namespace, name


def _right(resource: str, name: str, group: str = "", *, namespace: str = "", subresource: str = "") -> RequestInfo:
    return access(
        "impersonate", resource, name, group=group, version="v1", namespace=namespace, subresource=subresource
    )


def _all_groups(requested: User) -> Iterator[str]:
    """Yields the groups of the request; without any, a service account has its own; and the group of all users."""
    groups: tuple[str, ...] = requested.groups
    if not groups and (account := account_of(requested.name)) is not None:
        groups = (ACCOUNTS_GROUP, f"{ACCOUNTS_GROUP}:{account[0]}")
    yield from groups
    if not any(group in GROUPS_OF_ALL for group in groups):
        yield UNAUTHENTICATED if requested.name == ANONYMOUS.name else AUTHENTICATED


def _printed(user: User) -> str:
    """Prints a user as upstream's message does, in Go's notation."""
    extra = ", ".join(f"{quote(key)}:{_strings(values)}" for key, values in user.extra)
    extras = f"map[string][]string{{{extra}}}" if extra else "map[string][]string(nil)"
    groups = _strings(user.groups) if user.groups else "[]string(nil)"
    return f"&user.DefaultInfo{{Name:{quote(user.name)}, UID:{quote(user.uid)}, Groups:{groups}, Extra:{extras}}}"


def _strings(values: Sequence[str]) -> str:
    return f"[]string{{{', '.join(map(quote, values))}}}"
