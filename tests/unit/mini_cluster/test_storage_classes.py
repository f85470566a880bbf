"""The storage classes of a new cluster: made once, whatever the start is cut off by, and the user's from then on."""

from __future__ import annotations

from typing import Any

import pytest

from mini_cluster.api import AdminApi
from mini_cluster.errors import ApiError
from mini_cluster.storage_classes import ROLE, ensure_storage_classes


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


def test_a_start_that_is_cut_off_anywhere_is_completed_by_the_next() -> None:
    for number in range(1, 6):
        api = FakeAdminApi()
        api.fails_at = number
        with pytest.raises(ApiError):
            ensure_storage_classes(api)
        ensure_storage_classes(api)
        assert api.names() == [ROLE, ROLE, "shared", "standard"]


def test_what_the_user_deletes_later_stays_deleted() -> None:
    api = FakeAdminApi()
    ensure_storage_classes(api)
    del api.objects["/apis/storage.k8s.io/v1/storageclasses/standard"]
    ensure_storage_classes(api)
    assert api.names() == [ROLE, ROLE, "shared"]
