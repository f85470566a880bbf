"""Makes the data folders of etcd's members from a snapshot, and puts them in the place of the old ones.

The new folders are complete before anything is stopped. From then on each member takes its new folder at its next
start, so that an interrupted restore is finished by the next start, whoever asks for it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from mini_cluster.cluster.etcd_members import EtcdMember, initial_cluster
from mini_cluster.cluster.layout import Layout
from mini_cluster.errors import LauncherError
from mini_cluster.etcd.operator import EtcdOperator
from mini_cluster.machine.programs import find_program

RESTORE_SECONDS = 600.0  # for one member; a snapshot of some gigabytes takes its time
REVISION_MARGIN = 1_000
"""A restored store goes on this far above the newest revision that a client may have seen. A client that watches from
there is then told to list again; otherwise it would wait for the store to get there, and miss what happens before."""

MOST_REVISIONS = 50_000  # written to get there, each a write of its own: about half a minute


class RestoreError(LauncherError):
    """The snapshot could not be restored; nothing has been changed."""


def prepare(layout: Layout, members: Sequence[EtcdMember], snapshot: Path) -> Path:
    """Makes each member's new data folder; returns the folder that they are in. Raises: RestoreError."""
    if not snapshot.is_file():
        raise RestoreError(f"{snapshot}: no such file")
    prepared = layout.root / "etcd-restore.partial"
    shutil.rmtree(prepared, ignore_errors=True)
    prepared.mkdir(parents=True, mode=0o700)
    utility = find_program("etcdutl") or find_program("etcdctl") or "etcdctl"
    for member in members:
        command = [
            utility,
            "snapshot",
            "restore",
            str(snapshot),
            f"--name={member.name}",
            f"--data-dir={prepared / member.component}",
            f"--initial-cluster={initial_cluster(members)}",
            f"--initial-cluster-token={layout.key}",
            f"--initial-advertise-peer-urls={member.peer_url}",
        ]
        done = subprocess.run(
            command, env={"ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=RESTORE_SECONDS, check=False
        )
        if done.returncode != 0:
            shutil.rmtree(prepared)
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RestoreError(f"{snapshot} is not a complete snapshot of etcd: {reason.removeprefix('Error: ')}")
    return prepared


def take_keys(layout: Layout, snapshot: Path, warn: Callable[[str], None]) -> None:
    """Lets the API server read the Secrets of a snapshot, from its next start on. Raises: KeysError."""
    from mini_cluster.pki.encryption import adopt_keys, keys_of_snapshot

    if not adopt_keys(layout.encryption_config, snapshot):
        warn(f"there is no {keys_of_snapshot(snapshot)}: Secrets that another cluster encrypted can't be read")


def commit(layout: Layout, prepared: Path) -> None:
    """Lets the members take the new folders at their next start; none of them may run."""
    shutil.rmtree(_ready(layout), ignore_errors=True)
    prepared.rename(_ready(layout))


def install(layout: Layout, member: EtcdMember) -> bool:
    """Puts the member's new folder in place, if there is one; the old one is kept until the next restore."""
    restored = _ready(layout) / member.component
    if not restored.exists():
        return False
    if member.data.exists():
        previous = layout.root / "etcd-before-restore" / member.component
        shutil.rmtree(previous, ignore_errors=True)
        previous.parent.mkdir(exist_ok=True, mode=0o700)
        member.data.rename(previous)
    restored.rename(member.data)
    if not any(_ready(layout).iterdir()):
        _ready(layout).rmdir()
    return True


def raise_revision(operator: EtcdOperator, newest_revision: int, warn: Callable[[str], None]) -> None:
    """Lets the restored store go on above the newest revision that a client has seen, or warns that it does not."""
    restored = operator.revision()
    goal = max(newest_revision, restored) + REVISION_MARGIN
    if goal - restored > MOST_REVISIONS:
        warn(
            f"the restored store is at revision {restored}, and clients have seen up to {newest_revision}: "
            "restart those outside of this cluster that watch"
        )
        goal = restored + REVISION_MARGIN
    operator.advance(goal)


def _ready(layout: Layout) -> Path:
    return layout.root / "etcd-restore"
