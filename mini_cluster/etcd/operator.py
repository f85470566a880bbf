"""Runs etcd's operations for the launcher; `operations` does them, in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mini_cluster.cluster.components import ETCD_CLIENT_CERTIFICATE
from mini_cluster.cluster.etcd_members import etcd_members
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState
from mini_cluster.errors import LauncherError


class EtcdOperationError(LauncherError):
    """An operation on etcd failed; the message says why."""


class EtcdOperator:
    """The operations on the etcd of one cluster. All of them raise EtcdOperationError."""

    def __init__(self, layout: Layout, state: ClusterState) -> None:
        self._layout = layout
        self._members = etcd_members(layout, state)

    def status(self) -> list[dict[str, Any]]:
        """Returns by member: name, version, size (bytes), leader (a name), revision, term, index, alarms.

        For a member that does not answer: name and error.
        """
        statuses: list[dict[str, Any]] = self._run("status")
        return statuses

    def members(self) -> list[dict[str, Any]]:
        """Returns the members as etcd lists them: id, name, peer_urls, client_urls."""
        members: list[dict[str, Any]] = self._run("members")
        return members

    def save_snapshot(self, file: Path) -> dict[str, int]:
        """Saves all of the store, and beside it the keys of its Secrets; returns the file's size and a revision that it
        has."""
        from mini_cluster.pki.encryption import save_keys

        snapshot: dict[str, int] = self._run("snapshot", str(file.resolve()))
        save_keys(self._layout.encryption_config, file.resolve())
        return snapshot

    def defragment(self) -> list[dict[str, Any]]:
        """Gives the room of deleted data back; by member: name, before and after (bytes)."""
        sizes: list[dict[str, Any]] = self._run("defragment")
        return sizes

    def revision(self) -> int:
        """Returns the store's revision now."""
        return int(self._run("revision"))

    def advance(self, revision: int) -> int:
        """Raises the store's revision to at least this one; returns the new one."""
        return int(self._run("advance", revision))

    def _run(self, operation: str, *arguments: Any) -> Any:
        request = {
            "operation": operation,
            "arguments": arguments,
            "members": [{"name": m.name, "port": int(m.client_url.rpartition(":")[2])} for m in self._members],
            "ca": str(self._layout.certificate("etcd/ca")),
            "certificate": str(self._layout.certificate(ETCD_CLIENT_CERTIFICATE)),
            "key": str(self._layout.private_key(ETCD_CLIENT_CERTIFICATE)),
        }
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-m", "mini_cluster.etcd.operations"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env=os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python", "GRPC_VERBOSITY": "NONE"},
            check=False,
        )
        if done.returncode != 0:
            raise EtcdOperationError(f"etcd {operation}: {done.stderr.strip()[-2000:]}")
        answer = json.loads(done.stdout)
        if "error" in answer:
            raise EtcdOperationError(answer["error"])
        return answer["result"]
