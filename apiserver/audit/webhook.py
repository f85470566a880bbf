"""The webhook back end: events in batches, as EventLists, to a server that a kubeconfig names."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field

import httpx

from apiserver.audit.event import RawEvent, encode
from apiserver.audit.policy import API_VERSION
from apiserver.audit.queue import EventQueue, QueueLimits
from componentbase import logs
from kubeclient.access.config import ClientConfig

TRIES = 5
BACKOFF_FACTOR = 1.5
ANSWER_SECONDS = 30.0

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    batch_events: int = 400
    batch_wait_seconds: float = 30.0
    """How long a batch that is not full waits for more events."""
    backoff_seconds: float = 10.0
    """Before a batch that failed is sent again; then ever longer."""
    queue: QueueLimits = field(default_factory=QueueLimits)


class WebhookBackend:
    """Sends in a thread of its own, one batch after the other. A batch that fails TRIES times is lost and counted."""

    name = "webhook"

    def __init__(self, config: ClientConfig, tls: ssl.SSLContext, options: WebhookOptions) -> None:
        self.queue = EventQueue(options.queue)
        self.lost = 0
        self._options = options
        headers = {"content-type": "application/json"}
        if config.token:
            headers["authorization"] = f"Bearer {config.token}"
        self._url = config.server
        self._http = httpx.Client(verify=tls, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)
        self._thread = threading.Thread(target=self._run, name="audit-webhook", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Sends what is left, for at most so long."""
        self.queue.close()
        self._thread.join(seconds)

    def _run(self) -> None:
        while events := self.queue.take(self._options.batch_events, self._options.batch_wait_seconds):
            if why := self._send(events):
                self.lost += len(events)
                log.error("audit events lost", events=len(events), error=why)
        self._http.close()

    def _send(self, events: list[RawEvent]) -> str:
        """Returns why the batch could not be sent; "" if it was."""
        body = event_list(events)
        why, pause = "", self._options.backoff_seconds
        for attempt in range(TRIES):
            if attempt and self.queue.wait_closed(pause):
                return why
            pause *= BACKOFF_FACTOR
            try:
                answer = self._http.post(self._url, content=body)
            except httpx.HTTPError as error:
                why = f"{type(error).__name__}: {error}"
                continue
            if answer.is_success:
                return ""
            why = f"{self._url} answers {answer.status_code}"
        return why


def event_list(events: list[RawEvent]) -> bytes:
    items = b",".join(encode(event) for event in events)
    return b'{"kind":"EventList","apiVersion":"%b","metadata":{},"items":[%b]}' % (API_VERSION.encode(), items)
