"""As whom a container runs: its security context, and the accounts in its image."""

from __future__ import annotations

import pytest

from kubelet.runtime.configs import Security
from kubelet.runtime.docker.users import ImageAccounts, linux_user
from kubelet.runtime.interface import EngineError, LinuxUser

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1234:1300::/:/bin/false\n1:x:77:78::/:\nbroken\n"
GROUP = "root:x:0:root,app\nstaff:x:50000:app,other\napp:x:1300:\nodd:x:y:app\nshort:x:9\n"


@pytest.mark.parametrize(
    ("security", "user", "ids"),
    [
        (Security(), "", (0, 0, (0,))),
        (Security(), "app", (1234, 1300, (1300, 0, 50000))),
        (Security(), "1234", (1234, 1300, (1300, 0, 50000))),
        (Security(), "app:staff", (1234, 50000, (50000, 0))),
        (Security(), "5:6", (5, 6, (6,))),
        (Security(), "1", (1, 0, (0,))),  # a number is an id, even where an account is called so
        (Security(run_as_user=0), "app", (0, 0, (0,))),
        (Security(run_as_user=99), "app:staff", (99, 0, (0,))),
        (Security(run_as_user=1234, run_as_group=3000), "", (1234, 3000, (3000, 0, 50000))),
        (Security(run_as_group=3000, supplemental_groups=(4000, 3000)), "app", (1234, 3000, (3000, 4000, 0, 50000))),
        (
            Security(run_as_group=3000, supplemental_groups=(4000,), strict_groups=True),
            "app",
            (1234, 3000, (3000, 4000)),
        ),
        (Security(strict_groups=True), "app", (1234, 1300, (1300,))),
    ],
)
def test_ids(security: Security, user: str, ids: tuple[int, int, tuple[int, ...]]) -> None:
    assert linux_user(security, ImageAccounts(user, PASSWD, GROUP)) == LinuxUser(*ids)


def test_an_image_without_accounts() -> None:
    assert linux_user(Security(run_as_user=7), ImageAccounts()) == LinuxUser(7, 0, (0,))


@pytest.mark.parametrize(
    ("user", "words"), [("ghost", "unable to find user ghost"), ("app:none", "unable to find group none")]
)
def test_names_that_the_image_does_not_have(user: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        linux_user(Security(), ImageAccounts(user, PASSWD, GROUP))
