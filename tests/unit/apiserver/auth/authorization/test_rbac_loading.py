"""RBAC on a watch cache that is not loaded yet: nobody is told that they have no rights."""

from __future__ import annotations

from typing import Any, cast

import pytest

from apimachinery.errors import ServiceUnavailable
from apiserver.auth.authorization.rbac import Rbac
from apiserver.request.info import parse_request
from apiserver.request.user import User


class EmptyStorage:
    """A cache without roles."""

    loaded = False

    def on_change(self, *_: object) -> None:
        pass

    def snapshot(self, _: object) -> list[Any]:
        return []


def test_a_request_that_comes_too_early_is_to_come_again() -> None:
    storage = EmptyStorage()
    rbac, info = Rbac(cast(Any, storage)), parse_request("GET", "/api/v1/pods")
    with pytest.raises(ServiceUnavailable, match="not loaded yet") as caught:
        rbac.authorize(User("jane"), info)
    assert caught.value.retry_after_seconds == 1
    storage.loaded = True
    assert not rbac.authorize(User("jane"), info).allowed
