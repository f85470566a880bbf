"""Reads the accounts in images: each container is given its ids by number, and its status shows them."""

from __future__ import annotations

import io
import tarfile
from collections import OrderedDict

import docker

from kubelet.runtime.docker.bodies import READING, accounts_body
from kubelet.runtime.docker.client import EngineClient
from kubelet.runtime.docker.parsing import image_info
from kubelet.runtime.docker.users import ImageAccounts
from kubelet.runtime.interface import EngineNotFound

REMEMBERED = 256  # images; the one that was used longest ago is read again
MAX_FILE_BYTES = 4 * 1024 * 1024  # of /etc/passwd or /etc/group; one that is larger counts as empty
MAX_LINKS = 4


class Accounts:
    """Reads an image once, from a container that is never started."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._by_image: OrderedDict[str, ImageAccounts] = OrderedDict()

    async def of(self, image: str) -> ImageAccounts:
        """Takes an image's id or name. Raises: EngineNotFound; EngineError."""
        accounts = self._by_image.get(image)
        if accounts is None:
            info = image_info(await self._client.call(self._client.sdk.inspect_image, image))
            image = info.id  # a name may mean another image tomorrow
            accounts = self._by_image.get(image) or await self._read(image, info.user)
        self._by_image[image] = accounts
        self._by_image.move_to_end(image)
        while len(self._by_image) > REMEMBERED:
            self._by_image.popitem(last=False)
        return accounts

    async def _read(self, image_id: str, user: str) -> ImageAccounts:
        sdk = self._client.sdk
        created = await self._client.call(sdk.create_container_from_config, accounts_body(image_id))
        try:
            passwd = await self._client.call(_text_of, sdk, created["Id"], "/etc/passwd")
            return ImageAccounts(user, passwd, await self._client.call(_text_of, sdk, created["Id"], "/etc/group"))
        finally:
            await self._client.call(sdk.remove_container, created["Id"], force=True)

    async def clean_up(self) -> None:
        """Removes what a killed kubelet left. Raises: EngineError."""
        sdk = self._client.sdk
        for item in await self._client.call(sdk.containers, all=True, filters={"label": [READING]}):
            try:
                await self._client.call(sdk.remove_container, item["Id"], force=True)
            except EngineNotFound:
                continue


def _text_of(sdk: docker.APIClient, container_id: str, path: str) -> str:
    """Returns the text of a file in a container; "" when there is none."""
    for _ in range(MAX_LINKS):
        try:
            chunks, stat = sdk.get_archive(container_id, path)
        except docker.errors.NotFound:
            return ""
        if stat.get("linkTarget"):  # the engine has resolved it, within the container's root
            chunks.close()
            path = stat["linkTarget"]
            continue
        if stat["size"] > MAX_FILE_BYTES:
            chunks.close()
            return ""
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            member = archive.next()
            file = archive.extractfile(member) if member is not None and member.isfile() else None
            return file.read().decode(errors="replace") if file is not None else ""
    return ""
