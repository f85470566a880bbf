"""Has storage drivers stage and publish the volumes of pods, and undo that when the pods are gone.

The files beside the volumes are written before a driver is asked and removed after it has undone its work, so a
kubelet that dies at any line finds what is left. All calls may be repeated, as the interface demands of drivers.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from apimachinery.errors import NotFound, StatusError
from apimachinery.times import format_time
from componentbase import logs
from componentbase.tasks import Locks
from kubeapi.core.pod.model import Pod
from kubeapi.core.secret.model import Secret
from kubeapi.storage.csidriver import CSIDriver
from kubeapi.storage.volumeattachment import VolumeAttachment, attachment_name, unique_name
from kubeclient.rest import RestClient
from kubelet.container.events import Events
from kubelet.plugins.message import Empty
from kubelet.plugins.rpc import RpcError
from kubelet.stats.host import Filesystem
from kubelet.volume.csi import messages as csi
from kubelet.volume.csi.driver import Driver, access_mode, is_final
from kubelet.volume.csi.drivers import CsiDrivers, CsiError, OwnNode
from kubelet.volume.csi.expansion import CsiExpansion
from kubelet.volume.csi.volume import (
    CsiPaths,
    CsiVolume,
    Publication,
    SecretName,
    forget_folder,
    mode_error,
    needs_attachment,
    owns_files,
    pod_context,
    remember_publication,
    remember_staging,
    remove_target,
    selinux_enforced,
    selinux_option,
)
from kubelet.volume.tokens import TokenManager

ATTACH_SECONDS = 120.0  # then the pod is told, and tries again
LOOK_SECONDS = 60.0  # between looks at volumes that may grow, or whose drivers want to be asked again and again
DEFAULT_TOKEN_SECONDS = 3600

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class CsiMount:
    """A published volume: a folder, or a block device. `owns_files`: its files are to be given to the pod's fsGroup."""

    path: str
    read_only: bool
    owns_files: bool


@dataclass(frozen=True, slots=True)
class _Published:
    """`look_at`: when, in the loop's time, something may be to do; `republish`: the driver is to be asked again."""

    volume: str  # its name in the pod
    mount: CsiMount
    look_at: float | None
    republish: bool


class CsiVolumes:
    """`wake(pod_uid)` has a pod looked at again; `on_change()` is called when `in_use` may have changed."""

    def __init__(
        self,
        root_dir: str,
        rest: RestClient,
        drivers: CsiDrivers,
        node: OwnNode,
        tokens: TokenManager,
        wake: Callable[[str], None],
        on_change: Callable[[], None],
        events: Events,
    ) -> None:
        self._paths = CsiPaths(root_dir)
        self._rest = rest
        self._drivers = drivers
        self._node = node
        self._tokens = tokens
        self._wake = wake
        self._on_change = on_change
        self._expansion = CsiExpansion(rest, events)
        self._publications: dict[Path, Publication] = {}  # by folder; those of an earlier kubelet too
        self._locks = Locks[tuple[str, str]]()  # by volume: one pod at a time works on it
        self._staged: set[tuple[str, str]] = set()  # since this kubelet started
        self._published: dict[Path, _Published] = {}
        drivers.on_registered = self._wake_users

    def load(self) -> None:
        """Finds what an earlier kubelet has mounted. Raises: OSError; ValueError."""
        self._publications = {publication.folder: publication for publication in self._paths.publications()}

    def in_use(self) -> list[str]:
        """Lists the attached volumes that must stay attached."""
        return sorted({item.unique_name for item in self._publications.values() if item.attached})

    def is_due(self, pod_uid: str) -> bool:
        """Tells whether a volume of the pod is to be looked at again, or was published by an earlier kubelet."""
        now = asyncio.get_running_loop().time()
        for folder, publication in self._publications.items():
            if publication.pod_uid == pod_uid and self._drivers.has(publication.driver):
                published = self._published.get(folder)
                if published is None or (published.look_at is not None and published.look_at <= now):
                    return True
        return False

    def _wake_users(self, driver: str) -> None:
        """Wakes the pods that may wait for their driver."""
        for publication in self._publications.values():
            if publication.driver == driver:
                self._wake(publication.pod_uid)

    def mount_of(self, pod_uid: str, volume: CsiVolume) -> CsiMount:
        """Returns what `set_up` has made."""
        return self._published[self._paths.publication(pod_uid, volume).folder].mount

    async def set_up(self, pod: Pod, volume: CsiVolume, name: str) -> None:
        """Makes the pod's volume of this name appear at its path, and grows it.

        Raises: CsiError; RpcError; StatusError; OSError.
        """
        uid, loop = pod.metadata.uid or "", asyncio.get_running_loop()
        folder = self._paths.publication(uid, volume).folder
        published = self._published.get(folder)
        if published is not None and (published.look_at is None or loop.time() < published.look_at):
            return
        if published is None or published.republish:
            published = await self._mount(pod, volume, name)
        driver = self._drivers.get(volume.driver)
        may_grow = not volume.ephemeral and not volume.read_only and await driver.serves(csi.EXPAND_VOLUME)
        if may_grow:
            await self._grow(driver, pod, volume)
        look_at = loop.time() + LOOK_SECONDS if may_grow or published.republish else None
        self._published[folder] = replace(published, look_at=look_at)
        if look_at is not None:
            loop.call_at(look_at, self._wake, uid)

    async def _mount(self, pod: Pod, volume: CsiVolume, name: str) -> _Published:
        settings = await self._settings(volume.driver)
        if error := mode_error(volume, settings):
            raise CsiError(error)
        labels = selinux_option(pod, volume, settings) if selinux_enforced() else ()
        volume = replace(volume, mount_options=volume.mount_options + labels)
        driver = self._drivers.get(volume.driver)
        attached = needs_attachment(volume, settings)
        publication = self._paths.publication(pod.metadata.uid or "", volume, attached=attached)
        async with self._locks.of(volume.key):
            remember_publication(publication, volume, self._node.current().name)
            self._publications[publication.folder] = publication
        context = await self._attached(volume) if attached else {}
        async with self._locks.of(volume.key):
            fs_group = pod.spec.securityContext.fsGroup if pod.spec.securityContext else None
            mounts_group = fs_group is not None and not volume.block and await driver.serves(csi.VOLUME_MOUNT_GROUP)
            capability = await self._capability(driver, volume, str(fs_group) if mounts_group else "")
            staging = ""
            if not volume.ephemeral and await driver.serves(csi.STAGE_UNSTAGE_VOLUME):
                staging = await self._stage(driver, volume, capability, context)
            await self._publish(driver, pod, volume, publication, capability, context, staging, settings)
        mount = CsiMount(str(publication.target), volume.read_only, owns_files(volume, settings) and not mounts_group)
        republish = settings is not None and bool(settings.spec.requiresRepublish)
        return _Published(name, mount, None, republish)

    async def _grow(self, driver: Driver, pod: Pod, volume: CsiVolume) -> None:
        """Grows the volume if it can: one that can't be grown works, and the pod starts."""
        publication = self._paths.publication(pod.metadata.uid or "", volume)
        staged = await driver.serves(csi.STAGE_UNSTAGE_VOLUME)
        try:
            async with self._locks.of(volume.key):
                pending = await self._expansion.pending(volume.name)
                if pending is None:
                    return
                request = csi.NodeExpandVolumeRequest(
                    volume.handle,
                    str(publication.target),
                    csi.CapacityRange(pending.size_bytes),
                    str(self._paths.staging(*volume.key)) if staged else "",
                    await self._capability(driver, volume, ""),
                    await self._secret(volume.expand_secret),
                )
                await self._expansion.grow(driver, pod, pending, request)
        except (CsiError, StatusError, OSError) as error:
            log.warning("volume not looked at for growth", volume=volume.name, error=str(error))

    async def _attached(self, volume: CsiVolume) -> dict[str, str]:
        """Waits until the volume is attached to this node; returns what the attacher says. Raises: CsiError."""
        name = unique_name(*volume.key)
        self._on_change()
        try:
            async with asyncio.timeout(ATTACH_SECONDS):
                await self._node.wait_until(
                    lambda node: (
                        name in (node.status.volumesInUse or ())
                        and any(item.name == name for item in node.status.volumesAttached or ())
                    )
                )
        except TimeoutError:
            who = f"external-attacher of {volume.driver} CSI driver"
            raise CsiError(f"timed out waiting for {who} to attach volume {volume.handle}") from None
        attachment = await self._rest.get(
            VolumeAttachment, attachment_name(volume.driver, volume.handle, self._node.current().name)
        )
        if not attachment.status.attached:
            raise CsiError(f"volume {volume.handle} is no longer attached")
        return attachment.status.attachmentMetadata or {}

    async def _stage(
        self, driver: Driver, volume: CsiVolume, capability: csi.VolumeCapability, context: dict[str, str]
    ) -> str:
        """Stages the volume unless this kubelet has; returns the path."""
        staging = self._paths.staging(*volume.key)
        if volume.key in self._staged:
            return str(staging)
        request = csi.NodeStageVolumeRequest(
            volume.handle,
            context,
            str(staging),
            capability,
            await self._secret(volume.stage_secret),
            dict(volume.attributes),
        )
        fresh = not staging.parent.exists()
        remember_staging(staging, *volume.key)
        staging.mkdir(exist_ok=True, mode=0o750)
        try:
            await driver.stage(request)
        except RpcError as error:
            if fresh and is_final(error):
                remove_target(staging)
                forget_folder(staging.parent)
            raise
        self._staged.add(volume.key)
        return str(staging)

    async def _publish(
        self,
        driver: Driver,
        pod: Pod,
        volume: CsiVolume,
        publication: Publication,
        capability: csi.VolumeCapability,
        context: dict[str, str],
        staging: str,
        settings: CSIDriver | None,
    ) -> None:
        volume_context, secrets = dict(volume.attributes), await self._secret(volume.publish_secret)
        if settings is not None and settings.spec.podInfoOnMount:
            volume_context |= pod_context(pod, volume)
        if settings is not None and settings.spec.tokenRequests:
            place = secrets if settings.spec.serviceAccountTokenInSecrets else volume_context
            place["csi.storage.k8s.io/serviceAccount.tokens"] = await self._pod_tokens(pod, settings)
        request = csi.NodePublishVolumeRequest(
            volume.handle,
            context,
            staging,
            str(publication.target),
            capability,
            volume.read_only,
            secrets,
            volume_context,
        )
        await driver.publish(request)

    async def tear_down(self, folder: Path) -> None:
        """Gives back the volume that a pod had in this folder of its own, which nothing uses any more.

        Raises: CsiError; RpcError; OSError; ValueError.
        """
        publication = self._paths.publication_in(folder)
        if publication is None:
            return
        async with self._locks.of(publication.key):
            driver = self._drivers.get(publication.driver)
            await driver.unpublish(publication.handle, str(publication.target))
            remove_target(publication.target)
            self._published.pop(folder, None)
            if not publication.ephemeral and not self._used_folders(publication.key) - {folder}:
                await self._unstage(driver, publication.handle)
            forget_folder(folder)
            self._publications.pop(folder, None)
        self._on_change()

    def _used_folders(self, key: tuple[str, str]) -> set[Path]:
        """Returns the folders of pods in which the volume is, or is about to be."""
        return {folder for folder, publication in self._publications.items() if publication.key == key}

    async def _unstage(self, driver: Driver, handle: str) -> None:
        staging = self._paths.staging(driver.name, handle)
        self._staged.discard((driver.name, handle))
        if not staging.parent.exists():
            return
        await driver.unstage(handle, str(staging))
        remove_target(staging)
        forget_folder(staging.parent)

    async def unstage_unused(self) -> None:
        """Undoes staging that a kubelet left behind when it died between two steps. Raises: OSError; ValueError."""
        for key in list(self._paths.staged()):
            if self._used_folders(key):
                continue
            try:
                async with self._locks.of(key):
                    if not self._used_folders(key):
                        await self._unstage(self._drivers.get(key[0]), key[1])
            except (CsiError, RpcError) as error:
                log.warning("volume not unstaged, will retry", driver=key[0], handle=key[1], error=str(error))

    async def figures(self, pod_uid: str) -> dict[str, Filesystem]:
        """Tells how full the pod's volumes are, by their names in its spec, where their drivers tell."""
        found = {}
        for folder, published in list(self._published.items()):
            item = self._publications.get(folder)
            if item is None or item.pod_uid != pod_uid:
                continue
            try:
                driver = self._drivers.get(item.driver)
                if await driver.serves(csi.GET_VOLUME_STATS):
                    staging = "" if item.ephemeral else str(self._paths.staging(*item.key))
                    request = csi.NodeGetVolumeStatsRequest(item.handle, str(item.target), staging)
                    found[published.volume] = _filesystem(await driver.stats(request))
            except (CsiError, RpcError) as error:
                log.debug("no figures of a volume", path=str(folder), error=str(error))
        return found

    # Pieces of requests

    async def _settings(self, name: str) -> CSIDriver | None:
        try:
            return await self._rest.get(CSIDriver, name)
        except NotFound:
            return None

    async def _capability(self, driver: Driver, volume: CsiVolume, group: str) -> csi.VolumeCapability:
        mode = csi.AccessMode(await access_mode(driver, volume.access_modes))
        if volume.block:
            return csi.VolumeCapability(Empty(), None, mode)
        return csi.VolumeCapability(None, csi.MountVolume(volume.fs_type, volume.mount_options, group), mode)

    async def _secret(self, name: SecretName | None) -> dict[str, str]:
        """Raises: CsiError; StatusError."""
        if name is None:
            return {}
        try:
            secret = await self._rest.get(Secret, name.name, name.namespace)
            return {key: b64decode(value).decode() for key, value in (secret.data or {}).items()}
        except (NotFound, UnicodeDecodeError) as error:
            raise CsiError(f'failed to get secret "{name.namespace}/{name.name}": {error}') from None

    async def _pod_tokens(self, pod: Pod, settings: CSIDriver) -> str:
        """Returns the tokens by audience, as JSON. Raises: StatusError."""
        tokens = {}
        for request in settings.spec.tokenRequests or ():
            seconds = request.expirationSeconds or DEFAULT_TOKEN_SECONDS
            token = await self._tokens.issue(pod, request.audience, seconds)
            tokens[request.audience] = {"token": token.text, "expirationTimestamp": format_time(token.expires)}
        return json.dumps(tokens)


def _filesystem(answer: csi.NodeGetVolumeStatsResponse) -> Filesystem:
    """Reads what a driver tells, which need not be of inodes, nor of what is used."""
    by_unit = {usage.unit: usage for usage in answer.usage}
    size, inodes = by_unit.get(csi.UNIT_BYTES, csi.VolumeUsage()), by_unit.get(csi.UNIT_INODES, csi.VolumeUsage())
    return Filesystem(
        device=0,
        capacity_bytes=size.total,
        available_bytes=size.available,
        free_bytes=size.total - size.used,
        inodes=inodes.total,
        inodes_free=inodes.available or inodes.total - inodes.used,
    )
