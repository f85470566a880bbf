"""The objects of a new cluster: made once, whatever the start is cut off by, and the user's from then on."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from mini_cluster.api import AdminApi
from mini_cluster.errors import ApiError
from mini_cluster.objects import dns, storage
from mini_cluster.objects.making import try_again


class FakeAdminApi(AdminApi):
    """Holds objects by path; fails at the request with the number `fails_at`."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.requests = 0
        self.fails_at = 0

    def request(self, method: str, path: str, body: Any = None) -> Any:
        self.requests += 1
        if self.requests == self.fails_at:
            raise ApiError("connection refused")
        if method == "GET":
            if path not in self.objects:
                raise ApiError(f"{path}: 404", 404)
            return self.objects[path]
        path += "/" + body["metadata"]["name"]
        if path in self.objects:
            raise ApiError(f"{path}: 409", 409)
        self.objects[path] = body
        return body

    def names(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.objects)


def ensure_dns(api: AdminApi) -> None:
    dns.ensure_dns(api, ["10.96.0.10"])


MADE = {
    storage.ensure_storage_classes: [storage.ROLE, storage.ROLE, "shared", "standard"],
    ensure_dns: ["coredns", "kube-dns", *[dns.CONFIG_ROLE] * 2, *[dns.ROLE] * 2],
}


@pytest.mark.parametrize("ensure", MADE)
def test_a_start_that_is_cut_off_anywhere_is_completed_by_the_next(ensure: Callable[[AdminApi], None]) -> None:
    for number in range(1, len(MADE[ensure]) + 2):
        api = FakeAdminApi()
        api.fails_at = number
        with pytest.raises(ApiError):
            ensure(api)
        ensure(api)
        assert api.names() == sorted(MADE[ensure])


@pytest.mark.parametrize("ensure", MADE)
def test_what_the_user_deletes_later_stays_deleted(ensure: Callable[[AdminApi], None]) -> None:
    api = FakeAdminApi()
    ensure(api)
    gone = next(path for path in api.objects if path.endswith(("/standard", "/kube-dns")))
    del api.objects[gone]
    ensure(api)
    assert gone not in api.objects


def test_the_dns_has_an_address_of_each_family() -> None:
    api = FakeAdminApi()
    dns.ensure_dns(api, ["10.96.0.10", "fd00:10:96::a"])
    spec = api.objects["/api/v1/namespaces/kube-system/services/kube-dns"]["spec"]
    assert (spec["clusterIPs"], spec["ipFamilyPolicy"]) == (["10.96.0.10", "fd00:10:96::a"], "RequireDualStack")


def test_what_a_slow_server_did_not_take_is_tried_again_until_the_deadline() -> None:
    api = FakeAdminApi()
    api.fails_at = 2
    try_again(lambda: ensure_dns(api), monotonic() + 60)
    assert api.names() == sorted(MADE[ensure_dns])

    def never() -> None:
        raise ApiError("The read operation timed out")

    with pytest.raises(ApiError, match="timed out"):
        try_again(never, monotonic())
