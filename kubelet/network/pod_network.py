"""The network of pods: attaches sandboxes one by one, and remembers what each of them holds, beyond its own end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from componentbase import logs
from componentbase.tasks import Locks
from kubelet.network.attachment import Attachment, AttachmentFiles
from kubelet.network.plug import Plug, PlugError
from kubelet.runtime.interface import EngineError
from kubelet.runtime.network import NetworkRequest

log = logs.logger(__name__)


class PodNetwork:
    """Implements `SandboxNetwork` by a plug. `folder` holds its files, and no others."""

    def __init__(self, folder: str, plug: Plug, ranges: Sequence[str] = ()) -> None:
        """`ranges` hold until it is told, or was told earlier, of others. Raises: OSError; ValueError."""
        self._plug = plug
        self._files = AttachmentFiles(folder)
        self._attachments = self._files.load()
        plug.set_ranges(self._files.ranges() or ranges)
        self._broken: set[str] = set()
        self._locks = Locks[str]()

    def problem(self) -> str:
        return self._plug.problem()

    def set_ranges(self, cidrs: Sequence[str]) -> bool:
        """Remembers them, for a start without an API server. Raises: OSError; ValueError."""
        changed = self._plug.set_ranges(cidrs)
        if changed:
            self._files.keep_ranges(cidrs)
            log.info("pods get addresses", ranges=",".join(cidrs))
        return changed

    def addresses(self, sandbox_id: str) -> tuple[str, ...]:
        attachment = self._attachments.get(sandbox_id)
        if attachment is None or not attachment.complete or sandbox_id in self._broken:
            return ()
        return attachment.addresses if self._plug.holds(attachment.addresses) else ()

    def attached(self) -> frozenset[str]:
        return frozenset(self._attachments)

    async def follow(self) -> None:
        await self._plug.follow(lambda: [each for each in self._attachments.values() if each.complete])

    async def attach(self, request: NetworkRequest) -> tuple[str, ...]:
        async with self._locks.of(request.id):
            attachment = self._attachments.get(request.id)
            if attachment is not None and attachment.request == request and self.addresses(request.id):
                return attachment.addresses
            try:
                await self._detach(request.id)  # what a killed kubelet, or a sandbox that died, has left
                taken = {address for other in self._attachments.values() for address in other.addresses}
                self._keep(self._plug.reserve(request, taken))
                done = await self._plug.add(self._attachments[request.id])
                self._keep(replace(done, complete=True))
            except (PlugError, OSError) as error:
                with suppress(PlugError, OSError):  # the one that came first says more
                    await self._detach(request.id)
                raise EngineError(f'failed to setup network for sandbox "{request.id}": {error}') from None
            return done.addresses

    async def detach(self, sandbox_id: str) -> None:
        if sandbox_id not in self._attachments:
            return
        async with self._locks.of(sandbox_id):
            try:
                await self._detach(sandbox_id)
            except (PlugError, OSError) as error:
                raise EngineError(f'failed to destroy network for sandbox "{sandbox_id}": {error}') from None

    async def check(self, sandbox_ids: Collection[str]) -> None:
        for attachment in [self._attachments[each] for each in sandbox_ids if each in self._attachments]:
            try:
                if attachment.complete:
                    await self._plug.check(attachment)
            except PlugError as error:
                log.warning("a sandbox has lost its network", pod=attachment.request.pod.name, error=str(error))
                self._broken.add(attachment.id)

    def _keep(self, attachment: Attachment) -> None:
        """Raises: OSError."""
        self._attachments[attachment.id] = attachment
        self._files.save(attachment)

    async def _detach(self, sandbox_id: str) -> None:
        """Raises: PlugError; OSError."""
        attachment = self._attachments.get(sandbox_id)
        if attachment is None:
            return
        await self._plug.delete(attachment)
        with suppress(FileNotFoundError):
            self._files.remove(sandbox_id)
        del self._attachments[sandbox_id]
        self._broken.discard(sandbox_id)
