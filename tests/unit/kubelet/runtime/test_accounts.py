"""Reading the accounts of an image, once, and leaving nothing behind."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from docker import errors as docker_errors

from kubelet.runtime.docker import accounts
from kubelet.runtime.docker.accounts import Accounts
from kubelet.runtime.docker.bodies import READING
from kubelet.runtime.docker.client import EngineClient
from kubelet.runtime.docker.users import ImageAccounts
from kubelet.runtime.interface import EngineError


class Sdk:
    """An engine with one image, whose files are texts, or links as "-> /path"."""

    def __init__(self, files: dict[str, str], user: str = "app") -> None:
        self.files = files
        self.user = user
        self.made = 0
        self.present: set[str] = set()

    def inspect_image(self, name: str) -> dict[str, Any]:
        return {"Id": "sha256:1", "Config": {"User": self.user}}

    def create_container_from_config(self, body: dict[str, Any]) -> dict[str, str]:
        assert READING in body["Labels"]
        self.made += 1
        self.present.add(f"c{self.made}")
        return {"Id": f"c{self.made}"}

    def remove_container(self, container_id: str, *, force: bool) -> None:
        self.present.remove(container_id)

    def containers(self, *, all: bool, filters: dict[str, Any]) -> list[dict[str, str]]:
        assert filters == {"label": [READING]}
        return [{"Id": container_id} for container_id in sorted(self.present)]

    def get_archive(self, container_id: str, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
        text = self.files.get(path)
        if text is None:
            raise docker_errors.NotFound("no such file")
        if text.startswith("-> "):
            return (part for part in [b""]), {"linkTarget": text[3:], "size": 0}
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            member = tarfile.TarInfo("file")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        return (part for part in [buffer.getvalue()]), {"linkTarget": "", "size": len(text)}


class Client:
    def __init__(self, sdk: Sdk) -> None:
        self.sdk = sdk

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


def opened(sdk: Sdk) -> Accounts:
    return Accounts(cast(EngineClient, Client(sdk)))


async def test_an_image_is_read_once() -> None:
    sdk = Sdk({"/etc/passwd": "app:x:1:2::/:", "/etc/group": "staff:x:3:app"})
    reader = opened(sdk)
    wanted = ImageAccounts("app", "app:x:1:2::/:", "staff:x:3:app")
    assert await reader.of("app:1") == wanted
    assert await reader.of("sha256:1") == await reader.of("app:1") == wanted
    assert (sdk.made, sdk.present) == (1, set())


async def test_links_are_followed_and_missing_files_are_empty() -> None:
    sdk = Sdk({"/etc/passwd": "-> /nix/passwd", "/nix/passwd": "root:x:0:0::/:", "/etc/group": "-> /etc/group"})
    assert await opened(sdk).of("app:1") == ImageAccounts("app", "root:x:0:0::/:", "")
    assert await opened(Sdk({}, user="")).of("app:1") == ImageAccounts()


async def test_a_huge_file_counts_as_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MAX_FILE_BYTES", 3)
    assert await opened(Sdk({"/etc/passwd": "long"})).of("app:1") == ImageAccounts("app")


async def test_only_so_many_images_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "REMEMBERED", 0)
    sdk = Sdk({})
    reader = opened(sdk)
    await reader.of("sha256:1")
    await reader.of("sha256:1")
    assert sdk.made == 2


async def test_nothing_is_left_when_reading_fails_or_the_kubelet_was_killed() -> None:
    sdk = Sdk({})

    def broken(container_id: str, path: str) -> Any:
        raise EngineError("broken")

    sdk.get_archive = broken  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        await opened(sdk).of("app:1")
    assert sdk.present == set()
    sdk.present = {"left"}
    await opened(sdk).clean_up()
    assert sdk.present == set()
