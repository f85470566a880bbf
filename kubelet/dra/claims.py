"""Has drivers prepare the claims of pods before they start, and take that back after the last of them has ended.

Source: upstream's manager of dynamic resources: drivers are asked again after a restart of the kubelet, and must not
mind; a pod has not ended before its claims are unprepared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from apimachinery.errors import StatusError
from componentbase import logs
from componentbase.tasks import Locks
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, PodResourceClaim
from kubeapi.resource.resourceclaim.model import ResourceClaim
from kubeapi.resource.resourceclaim.pods import PodClaimError, check_owner, claim_name, is_reserved_for
from kubeclient.rest import RestClient
from kubelet.dra.checkpoint import Checkpoint, HeldClaim, PreparedDevice
from kubelet.dra.drivers import DraDriver, DraDrivers, DriverMissing
from kubelet.dra.messages import Claim, ClaimsRequest, PrepareResult, UnprepareResult
from kubelet.plugins.rpc import RpcError

R = TypeVar("R", PrepareResult, UnprepareResult)

log = logs.logger(__name__)


class ClaimsError(Exception):
    """A pod's claims can't be prepared, or given back, now: the text for its event."""


class ClaimManager:
    """All methods may be repeated. `wake` is called with the uid of a pod that waited for a driver."""

    def __init__(self, root_dir: str, rest: RestClient, drivers: DraDrivers, wake: Callable[[str], None]) -> None:
        self._rest, self._drivers, self._wake = rest, drivers, wake
        self._checkpoint = Checkpoint(root_dir)
        self._held: dict[str, HeldClaim] = {}
        self._locks = Locks[str]()
        self._waiting: set[str] = set()
        """The pods whose claims could not be prepared yet."""
        drivers.on_registered = self._on_registered

    def load(self) -> None:
        """Recalls what is prepared. Raises: OSError; ValueError; KeyError."""
        self._held = {claim.key: claim for claim in self._checkpoint.load()}

    def _on_registered(self, name: str) -> None:
        for uid in self._waiting:
            self._wake(uid)
        self._waiting.clear()

    # before a pod starts

    async def prepare(self, pod: Pod) -> None:
        """Raises: ClaimsError."""
        if not pod.spec.resourceClaims:
            return
        uid = pod.metadata.uid or ""
        self._waiting.discard(uid)
        try:
            await self._prepare(pod)
        except (PodClaimError, ClaimsError, DriverMissing, StatusError, OSError) as error:
            self._waiting.add(uid)
            raise ClaimsError(f"prepare dynamic resources: {error}") from None

    async def _prepare(self, pod: Pod) -> None:
        """Looks at all claims before it notes any, so that a pod which can't start has nothing to give back."""
        asked = [await self._fetch(pod, name, entry) for name, entry in _claims_of(pod).items()]
        drivers = {name: self._drivers.get(name) for claim in asked for name in claim.drivers}
        async with self._locked(asked):
            for number, claim in enumerate(asked):
                held = asked[number] = self._held.setdefault(claim.key, claim)
                if held.uid != claim.uid:
                    raise ClaimsError(
                        f"old ResourceClaim with same name {claim.name} and different UID {held.uid} still exists "
                        "(previous pod force-deleted?!)"
                    )
                held.pods.add(pod.metadata.uid or "")
            self._save()
            missing = [claim for claim in asked if not claim.prepared]
            for name, driver in drivers.items():
                await self._prepare_by(driver, [claim for claim in missing if name in claim.drivers])
            for claim in missing:
                claim.prepared = True
            self._save()

    async def _fetch(self, pod: Pod, name: str, entry: PodResourceClaim) -> HeldClaim:
        """Raises: ClaimsError; PodClaimError; StatusError; OSError."""
        try:
            claim = await self._rest.get(ResourceClaim, name, pod.namespace)
        except StatusError as error:
            raise ClaimsError(f"fetch ResourceClaim {name}: {error}") from None
        check_owner(pod, entry, claim)
        uid = claim.metadata.uid or ""
        if not is_reserved_for(claim, pod):
            raise ClaimsError(f"pod {pod.name} ({pod.metadata.uid}) is not allowed to use ResourceClaim {name} ({uid})")
        if claim.status.allocation is None:
            raise ClaimsError(f"ResourceClaim {name}: not allocated")
        drivers = tuple(dict.fromkeys(item.driver for item in claim.status.allocation.devices.results or ()))
        return HeldClaim(pod.namespace, name, uid, drivers)

    async def _prepare_by(self, driver: DraDriver, claims: list[HeldClaim]) -> None:
        """Raises: ClaimsError."""
        if not claims:
            return
        method = "NodePrepareResources"
        try:
            answer = await driver.prepare(_request(claims))
        except RpcError as error:
            raise ClaimsError(f"{method}: {error}") from None
        results = _checked(method, claims, answer.claims)
        for claim in claims:
            others = [device for device in claim.devices if device.driver != driver.name]
            claim.devices = others + [
                PreparedDevice(driver.name, item.pool_name, item.device_name, item.request_names, item.cdi_device_ids)
                for item in results[claim.uid].devices
            ]

    # what containers get

    def devices(self, pod: Pod, container: Container) -> list[tuple[HeldClaim, PreparedDevice]]:
        """Returns the container's devices, each once, with their claims. Raises: ClaimsError."""
        found: dict[tuple[str, PreparedDevice], tuple[HeldClaim, PreparedDevice]] = {}
        uses = container.resources.claims if container.resources is not None else None
        for use in uses or ():
            for name in _claims_of(pod, use.name):
                held = self._held.get(f"{pod.namespace}/{name}")
                if held is None:
                    raise ClaimsError(f"unable to get information for ResourceClaim {name}")
                for device in held.devices:
                    if device.serves(use.request or ""):
                        found[name, device] = held, device
        return list(found.values())

    # after it has ended

    async def unprepare(self, pod_uid: str) -> None:
        """Gives back the claims that only this pod has used. Raises: ClaimsError."""
        self._waiting.discard(pod_uid)
        claims = [claim for claim in self._held.values() if pod_uid in claim.pods]
        if not claims:
            return
        try:
            async with self._locked(claims):
                last = [claim for claim in claims if claim.pods == {pod_uid}]
                for name in dict.fromkeys(name for claim in last for name in claim.drivers):
                    await self._unprepare_by(
                        self._drivers.get(name), [claim for claim in last if name in claim.drivers]
                    )
                for claim in claims:
                    claim.pods.discard(pod_uid)
                    if not claim.pods:
                        self._held.pop(claim.key, None)
                self._save()
        except (ClaimsError, DriverMissing) as error:
            raise ClaimsError(f"unprepare dynamic resources: {error}") from None

    async def _unprepare_by(self, driver: DraDriver, claims: list[HeldClaim]) -> None:
        """Raises: ClaimsError."""
        method = "NodeUnprepareResources"
        try:
            answer = await driver.unprepare(_request(claims))
        except RpcError as error:
            raise ClaimsError(f"{method}: {error}") from None
        _checked(method, claims, answer.claims)
        for claim in claims:
            claim.prepared = False

    async def keep(self, pod_uids: Collection[str]) -> None:
        """Gives back what pods had that the node no longer knows; what fails is tried again the next time."""
        for uid in {uid for claim in self._held.values() for uid in claim.pods}.difference(pod_uids):
            try:
                await self.unprepare(uid)
            except ClaimsError as error:
                log.warning("claims of a pod that is gone are not given back, will retry", uid=uid, error=str(error))

    # together

    @asynccontextmanager
    async def _locked(self, claims: Iterable[HeldClaim]) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for key in sorted({claim.key for claim in claims}):
                await stack.enter_async_context(self._locks.of(key))
            yield

    def _save(self) -> None:
        """Raises: ClaimsError."""
        try:
            self._checkpoint.save(self._held.values())
        except OSError as error:
            raise ClaimsError(f"checkpoint ResourceClaim state: {error}") from None


def _claims_of(pod: Pod, entry_name: str = "") -> dict[str, PodResourceClaim]:
    """Returns the names of the pod's claims, or of one entry's, with their entries. Raises: ClaimsError."""
    statuses = pod.status.resourceClaimStatuses or ()
    entries = [item for item in pod.spec.resourceClaims or () if entry_name in ("", item.name)]
    try:
        names = [claim_name(pod, entry, statuses) for entry in entries]
    except PodClaimError as error:
        raise ClaimsError(str(error)) from None
    return {name: entry for name, entry in zip(names, entries, strict=True) if name is not None}


def _request(claims: list[HeldClaim]) -> ClaimsRequest:
    return ClaimsRequest(tuple(Claim(claim.namespace, claim.uid, claim.name) for claim in claims))


def _checked(method: str, claims: list[HeldClaim], results: dict[str, R]) -> dict[str, R]:
    """Raises: ClaimsError unless the driver has done what it was asked for, for all claims."""
    by_uid = {claim.uid: claim for claim in claims}
    for uid, result in results.items():
        if uid not in by_uid:
            raise ClaimsError(f"{method} returned result for unknown claim UID {uid}")
        if result.error:
            raise ClaimsError(f"{method} failed for ResourceClaim {by_uid[uid].name}: {result.error}")
    if len(results) < len(claims):
        raise ClaimsError(f"{method} skipped {len(claims) - len(results)} ResourceClaims")
    return results
