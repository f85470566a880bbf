"""Renews a certificate of the kubelet for as long as it runs."""

from __future__ import annotations

import random
from collections.abc import Callable

from cryptography import x509

from apimachinery.errors import NotFound, StatusError
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.backoff import Backoff
from kubeclient.rest import RestClient
from kubelet.certificate.files import CertificateFiles
from kubelet.certificate.issuing import Refused, obtain
from kubelet.certificate.request import WantedCertificate, covers, renewal_time

FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 1.0, 300.0
LEAST_SECONDS = 60.0  # between two renewals, whatever a clock that is wrong makes of them

log = logs.logger(__name__)


class Rotation:
    """Asks for a new certificate when the current one has lived long enough, or lacks a name that is wanted.

    `changed` is called once the file holds a new certificate.
    """

    def __init__(
        self,
        rest: RestClient,
        wanted: WantedCertificate,
        files: CertificateFiles,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._rest = rest
        self._wanted = wanted
        self._files = files
        self._clock = clock
        self._changed = changed

    async def run(self) -> None:
        """Runs until cancelled."""
        current = self._files.load()
        if current is not None and not covers(current, self._wanted):
            current = None
        if current is not None:
            await self._wait_for_renewal(current, 0.0)
        while True:
            current = await self.obtain()
            self._changed()
            await self._wait_for_renewal(current, LEAST_SECONDS)

    async def _wait_for_renewal(self, current: x509.Certificate, least_seconds: float) -> None:
        due = renewal_time(current, random.random())
        log.info("certificate will be renewed", signer=self._wanted.signer, at=due.isoformat(timespec="seconds"))
        await self._clock.sleep(max(least_seconds, due.timestamp() - self._clock.now()))

    async def obtain(self) -> x509.Certificate:
        """Returns a new certificate; tries until it has one."""
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while True:
            try:
                return await obtain(self._rest, self._wanted, self._files)
            except (Refused, NotFound) as error:
                self._files.drop_pending_key()
                log.warning("certificate refused", signer=self._wanted.signer, error=str(error))
            except (StatusError, ConnectionError, TimeoutError, OSError) as error:
                log.warning("certificate not issued yet", signer=self._wanted.signer, error=str(error))
            await self._clock.sleep(backoff.next_seconds())
