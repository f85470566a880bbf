"""Sends reviews (questions as API objects) to another server, and returns their answers.

Source: Kubernetes documentation, "Webhook Mode".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from apimachinery.errors import StatusError
from componentbase.clock import Clock
from kubeclient.access.config import ClientConfig
from kubeclient.backoff import Backoff
from kubeclient.rest import RestClient

TRIES = 5
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.5, 2.0  # all waits together are less than 7 s
ANSWER_SECONDS = 30.0
MAX_WAITING = 512  # questions at a time; more fail at once


class ReviewFailed(Exception):
    """The other server gave no usable answer; the message says why."""


class ReviewClient:
    """One server that answers reviews."""

    def __init__(self, config: ClientConfig, clock: Clock, max_connections: int = 64) -> None:
        """`config` has the whole URL, with the path of the reviews. Raises: OSError, ssl.SSLError."""
        self._clock = clock
        self._rest = RestClient(config, user_agent="kube-apiserver", max_connections=max_connections, clock=clock)
        url = urlsplit(config.server)
        self._path = "" if config.path_prefix else "/"
        self._params = dict(parse_qsl(url.query))
        self._waiting = 0

    async def ask(self, review: dict[str, Any]) -> dict[str, Any]:
        """Returns the `status` of the answer. Tries again while the server is away or overloaded.

        Raises: ReviewFailed.
        """
        if self._waiting >= MAX_WAITING:
            raise ReviewFailed(f"{MAX_WAITING} questions wait for an answer already")
        self._waiting += 1
        try:
            answer = orjson.loads(await self._post(orjson.dumps(review)))
        except (StatusError, ConnectionError, TimeoutError) as error:
            raise ReviewFailed(str(error) or "no answer in time") from None
        except ValueError:
            raise ReviewFailed("the answer is not JSON") from None
        finally:
            self._waiting -= 1
        status = answer.get("status") if isinstance(answer, dict) else None
        if not isinstance(status, dict):
            raise ReviewFailed("the answer has no status")
        return status

    async def _post(self, body: bytes) -> bytes:
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        for _ in range(TRIES - 1):
            try:
                return await self._send(body)
            except StatusError as error:
                if error.code < 500 and error.code != 429:
                    raise
            except (ConnectionError, TimeoutError):
                pass
            await self._clock.sleep(backoff.next_seconds())
        return await self._send(body)

    async def _send(self, body: bytes) -> bytes:
        return await self._rest.request(
            "POST", self._path, params=self._params, body=body, timeout_seconds=ANSWER_SECONDS
        )
