"""etcd's operations by its library, `etcd3`, in a process of their own: `python -m mini_cluster.etcd.operations`.

The library's generated messages load only with protobuf's pure Python implementation, which a process chooses once, by
an environment variable. So no other process of ours imports it, and nothing has to pin `protobuf`. One JSON request
comes on standard input, one JSON answer goes to standard output: {"result": ...} or {"error": "..."}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import etcd3
from grpc import RpcError

T = TypeVar("T")

CALL_SECONDS = 5.0
LONG_CALL_SECONDS = 600.0  # for a snapshot or a defragmentation of some gigabytes
PUTS_UNDER_WAY = 128
ADVANCED_KEY = b"mini-cluster/advanced"  # outside of what the API server reads
MESSAGE_LIMIT = [("grpc.max_receive_message_length", -1)]


class OperationError(Exception):
    """An operation failed; the message is for the user."""


class Operations:
    """The operations, by name. `members` is [{"name": ..., "port": ...}, ...]."""

    def __init__(self, members: list[dict[str, Any]], ca: str, certificate: str, key: str) -> None:
        self._members = members
        self._credentials = {"ca_cert": ca, "cert_cert": certificate, "cert_key": key}

    def status(self) -> list[dict[str, Any]]:
        """Each member's state; {"name", "error"} for one that does not answer."""
        statuses = []
        for member in self._members:
            try:
                with self._client(member) as client:
                    statuses.append(self._status(member["name"], client))
            except (etcd3.exceptions.Etcd3Exception, RpcError) as error:
                statuses.append({"name": member["name"], "error": _message(error)})
        return statuses

    def _status(self, name: str, client: Any) -> dict[str, Any]:
        status = client.status()
        alarms = [alarm.alarm_type for alarm in client.list_alarms()]
        return {
            "name": name,
            "version": status.version,
            "size": status.db_size,
            "leader": status.leader.name if status.leader is not None else "",
            "revision": client.get_response(ADVANCED_KEY, serializable=True).header.revision,
            "term": status.raft_term,
            "index": status.raft_index,
            "alarms": [("NONE", "NOSPACE", "CORRUPT")[alarm] if alarm < 3 else str(alarm) for alarm in alarms],
        }

    def members(self) -> list[dict[str, Any]]:
        """Returns the members as etcd lists them."""
        return self._first(
            lambda client: [
                {
                    "id": f"{member.id:x}",
                    "name": member.name,
                    "peer_urls": list(member.peer_urls),
                    "client_urls": list(member.client_urls),
                }
                for member in client.members
            ]
        )

    def snapshot(self, file: str) -> dict[str, int]:
        """Writes the whole store to the file, in one step; returns its size and the least revision that it has."""
        path = Path(file)
        partial = path.with_name(f".{path.name}.{os.getpid()}")

        def save(client: Any) -> dict[str, int]:
            revision = client.get_response(ADVANCED_KEY).header.revision
            client.timeout = LONG_CALL_SECONDS
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
                client.snapshot(target)
                target.flush()
                os.fsync(target.fileno())
            partial.replace(path)
            return {"size": path.stat().st_size, "revision": revision}

        try:
            return self._first(save)
        except OSError as error:
            raise OperationError(f"cannot write {file}: {error.strerror}") from None
        finally:
            partial.unlink(missing_ok=True)

    def defragment(self) -> list[dict[str, Any]]:
        """Gives the room of deleted data back, on one member after the other, the leader last."""
        statuses = self.status()
        if failed := [f"{status['name']}: {status['error']}" for status in statuses if "error" in status]:
            raise OperationError(f"every member must answer for this; {'; '.join(failed)}")
        sizes = {status["name"]: status["size"] for status in statuses}
        leader = statuses[0]["leader"]
        results = []
        for member in sorted(self._members, key=lambda member: member["name"] == leader):
            with self._client(member) as client:
                client.timeout = LONG_CALL_SECONDS
                client.defragment()
                results.append(
                    {"name": member["name"], "before": sizes[member["name"]], "after": client.status().db_size}
                )
        return results

    def revision(self) -> int:
        """Returns the store's revision now."""
        return self._first(lambda client: int(client.get_response(ADVANCED_KEY).header.revision))

    def advance(self, revision: int) -> int:
        """Raises the store's revision to at least this one, by writes of one key; returns the new one."""

        def write(client: Any) -> int:
            current = int(client.get_response(ADVANCED_KEY).header.revision)
            request = etcd3.etcdrpc.PutRequest(key=ADVANCED_KEY)
            under_way: deque[Any] = deque()
            for _ in range(revision - current):
                under_way.append(client.kvstub.Put.future(request, LONG_CALL_SECONDS))
                if len(under_way) == PUTS_UNDER_WAY:
                    under_way.popleft().result()
            for put in under_way:
                put.result()
            return int(client.get_response(ADVANCED_KEY).header.revision)

        return self._first(write)

    def _first(self, operation: Callable[[Any], T]) -> T:
        """Asks the members in turn until one has done it. Raises: OperationError when none has."""
        failures = []
        for member in self._members:
            try:
                with self._client(member) as client:
                    return operation(client)
            except (etcd3.exceptions.Etcd3Exception, RpcError) as error:
                failures.append(f"{member['name']}: {_message(error)}")
        raise OperationError(f"no member of etcd answers: {'; '.join(failures)}")

    def _client(self, member: dict[str, Any]) -> contextlib.closing[Any]:
        return contextlib.closing(
            etcd3.client(
                host="127.0.0.1",
                port=member["port"],
                timeout=CALL_SECONDS,
                grpc_options=MESSAGE_LIMIT,
                **self._credentials,
            )
        )


def _message(error: Exception) -> str:
    details = getattr(error, "details", None)
    return str(details() if callable(details) else error) or type(error).__name__


def main() -> int:
    request = json.load(sys.stdin)
    operations = Operations(request["members"], request["ca"], request["certificate"], request["key"])
    try:
        answer = {"result": getattr(operations, request["operation"])(*request["arguments"])}
    except (OperationError, etcd3.exceptions.Etcd3Exception, RpcError) as error:
        answer = {"error": _message(error)}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
