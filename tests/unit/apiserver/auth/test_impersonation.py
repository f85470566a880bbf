"""Which user the headers of a request ask for, and the rights that its sender needs."""

from __future__ import annotations

import pytest

from apimachinery.errors import BadRequest, Forbidden
from apiserver.auth.authorization.authorizer import AlwaysAllow, AlwaysDeny
from apiserver.auth.impersonation import account_of, impersonate, needed_rights, requested_user
from apiserver.request.user import User

Headers = list[tuple[bytes, bytes]]
JANE = User("jane")


def headers(*values: str) -> Headers:
    """Headers from "user=joe", "extra-scopes=view"."""
    pairs = (value.split("=", 1) for value in values)
    return [(b"accept", b"*/*"), *((f"impersonate-{name}".encode(), value.encode()) for name, value in pairs)]


async def run_as(*values: str) -> User:
    return await impersonate(headers(*values), JANE, AlwaysAllow())


@pytest.mark.parametrize(
    ("values", "user"),
    [
        (["user=joe"], User("joe", "", ("system:authenticated",))),
        (["user=joe", "group=b", "group=a"], User("joe", "", ("b", "a", "system:authenticated"))),
        (["user=joe", "group=system:authenticated"], User("joe", "", ("system:authenticated",))),
        (["user=joe", "group=system:unauthenticated"], User("joe", "", ("system:unauthenticated",))),
        (["user=system:anonymous"], User("system:anonymous", "", ("system:unauthenticated",))),
        (["user=joe", "uid=7", "uid=8"], User("joe", "7", ("system:authenticated",))),
        (["user=joe", "user=ann"], User("joe", "", ("system:authenticated",))),
        (
            ["user=joe", "extra-acme.com%2fproject=x", "extra-acme.com%2fproject=y", "extra-a=z"],
            User("joe", "", ("system:authenticated",), (("a", ("z",)), ("acme.com/project", ("x", "y")))),
        ),
        (
            ["user=system:serviceaccount:web:robot"],
            User(
                "system:serviceaccount:web:robot",
                "",
                ("system:serviceaccounts", "system:serviceaccounts:web", "system:authenticated"),
            ),
        ),
        (
            ["user=system:serviceaccount:web:robot", "group=a"],
            User("system:serviceaccount:web:robot", "", ("a", "system:authenticated")),
        ),
    ],
)
async def test_the_request_runs_as_the_user_that_the_headers_name(values: list[str], user: User) -> None:
    actual = await run_as(*values)
    assert actual.impersonator is JANE
    assert (actual.name, actual.uid, actual.groups, actual.extra) == (user.name, user.uid, user.groups, user.extra)


async def test_a_request_that_names_nobody_runs_as_its_sender() -> None:
    assert await impersonate(headers("user="), JANE, AlwaysDeny()) is JANE
    assert await impersonate(headers("uid="), JANE, AlwaysDeny()) is JANE


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("group=dev", 'Name:"", UID:"", Groups:[]string{"dev"}, Extra:map[string][]string(nil)'),
        ("uid=x", 'Name:"", UID:"x", Groups:[]string(nil), Extra:map[string][]string(nil)'),
        ("extra-a=x", 'Name:"", UID:"", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"x"}}'),
    ],
)
async def test_a_group_uid_or_extra_needs_a_user(value: str, printed: str) -> None:
    for values in ([value], ["user=", value]):
        with pytest.raises(BadRequest) as caught:
            await run_as(*values)
        assert str(caught.value) == f"requested &user.DefaultInfo{{{printed}}} without impersonating a user name"


def test_each_part_of_an_identity_is_a_right_of_its_own() -> None:
    requested = requested_user(headers("user=joe", "group=a", "group=b", "extra-scopes=x", "extra-scopes=y", "uid=7"))
    assert requested is not None
    assert [
        (info.verb, info.group, info.resource, info.subresource, info.name) for info in needed_rights(requested)
    ] == [
        ("impersonate", "", "users", "", "joe"),
        ("impersonate", "", "groups", "", "a"),
        ("impersonate", "", "groups", "", "b"),
        ("impersonate", "authentication.k8s.io", "userextras", "scopes", "x"),
        ("impersonate", "authentication.k8s.io", "userextras", "scopes", "y"),
        ("impersonate", "authentication.k8s.io", "uids", "", "7"),
    ]
    robot = next(needed_rights(User("system:serviceaccount:web:robot")))
    assert (robot.resource, robot.namespace, robot.name) == ("serviceaccounts", "web", "robot")


async def test_a_refusal_names_the_sender_and_the_part() -> None:
    with pytest.raises(
        Forbidden, match=r'^users "joe" is forbidden: User "jane" cannot impersonate resource "users" in'
    ):
        await impersonate(headers("user=joe"), JANE, AlwaysDeny())


async def test_nobody_behind_the_server_sees_the_headers() -> None:
    given = headers("user=joe", "group=a", "extra-x=y", "other=z")
    await impersonate(given, JANE, AlwaysAllow())
    assert given == [(b"accept", b"*/*")]


@pytest.mark.parametrize(
    "name", ["system:serviceaccount:web", "system:serviceaccount:web:", "system:serviceaccount:a:b:c", "x:a:b"]
)
def test_other_names_are_not_service_accounts(name: str) -> None:
    assert account_of(name) is None
