"""Finds out as whom a container runs, from the security context and the accounts in its image. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubelet.runtime.configs import Security
from kubelet.runtime.interface import EngineError, LinuxUser


@dataclass(frozen=True, slots=True)
class ImageAccounts:
    """An image's USER ("name", "uid:gid", …), and the texts of its /etc/passwd and /etc/group; "" where it has none."""

    user: str = ""
    passwd: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int


def linux_user(security: Security, image: ImageAccounts) -> LinuxUser:
    """Decides the ids. Raises: EngineError when the image names a user or a group that it does not have.

    Source: Kubernetes documentation, "Implicit group memberships defined in /etc/group in the container image".
    """
    name, _, group = image.user.partition(":")
    if security.run_as_user is not None:
        name, group = str(security.run_as_user), ""
    account = _account(image.passwd, name or "0")
    gid = account.gid
    if security.run_as_group is not None:
        gid = security.run_as_group
    elif group:
        gid = _group_id(image.group, group)
    own = () if security.strict_groups else tuple(_memberships(image.group, account.name))
    return LinuxUser(account.uid, gid, tuple(dict.fromkeys((gid, *security.supplemental_groups, *own))))


def _account(passwd: str, name: str) -> _Account:
    """A number is always an id; one that has no account is a user without a name, in group 0."""
    if name.isdigit():
        uid = int(name)
        return next((account for account in _accounts(passwd) if account.uid == uid), _Account("", uid, 0))
    named = next((account for account in _accounts(passwd) if account.name == name), None)
    if named is None:
        raise EngineError(f"unable to find user {name}: no matching entries in passwd file")
    return named


def _accounts(passwd: str) -> Iterator[_Account]:
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and fields[2].isdigit() and fields[3].isdigit():
            yield _Account(fields[0], int(fields[2]), int(fields[3]))


def _groups(text: str) -> Iterator[tuple[str, int, list[str]]]:
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) >= 3 and fields[2].isdigit():
            yield fields[0], int(fields[2]), fields[3].split(",") if len(fields) > 3 else []


def _group_id(text: str, name: str) -> int:
    if name.isdigit():
        return int(name)
    found = next((gid for group, gid, _ in _groups(text) if group == name), None)
    if found is None:
        raise EngineError(f"unable to find group {name}: no matching entries in group file")
    return found


def _memberships(text: str, name: str) -> Iterator[int]:
    return (gid for _, gid, members in _groups(text) if name and name in members)
