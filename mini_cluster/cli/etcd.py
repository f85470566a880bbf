"""`mini-cluster etcd`: looks after the store of a cluster."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mini_cluster.cli.commands import Commands
from mini_cluster.console import GREEN, RED, Cell, Console
from mini_cluster.launcher import Cluster

DESCRIPTION = """\
Looks after etcd, which holds every object of the cluster.

A snapshot is one file with all objects. Its Secrets are encrypted; their keys stand beside it, in FILE.keys.yaml: who
has both has the Secrets, and who loses the keys loses them. The identities in the cluster's folder (pki/) are not in
it.
"""

EPILOG = """\
examples:
  mini-cluster etcd status
  mini-cluster etcd snapshot save backup.db
  mini-cluster etcd snapshot restore backup.db      the cluster then has the objects of the snapshot, and no others
  mini-cluster etcd defrag                          after many deletions: gives room on disk back

To move all objects to a cluster with three members:
  mini-cluster etcd snapshot save backup.db && mini-cluster down --purge
  mini-cluster up --etcd-members 3 && mini-cluster etcd snapshot restore backup.db
"""

RESTORE_DESCRIPTION = """\
Replaces all objects of the cluster by those of a snapshot, which may come from another cluster, then brings it up.
The keys of its Secrets are taken from FILE.keys.yaml and added to the cluster's own.

The new data is made ready before anything is stopped: a file that is damaged changes nothing. Then every daemon is
restarted; containers whose Pods are in the snapshot go on running. Revisions go on above those seen before, so that
clients that watch are told to list again. The old data stays in etcd-before-restore/ until the next restore.
"""


def add_etcd_commands(commands: Commands) -> None:
    etcd = commands.group(
        "etcd", "look after the store: status, snapshots, defragmentation", DESCRIPTION, epilog=EPILOG
    )
    for name, run, summary in (
        ("status", _status, "show each member's role, size and revision; exit code 1 unless all is well"),
        ("members", _members, "list the members and their addresses"),
    ):
        etcd.add(name, run, summary).add_argument("-o", "--output", choices=("table", "json"), default="table")
    etcd.add("defrag", _defrag, "give the room of deleted data back, on one member after the other")
    snapshot = etcd.group("snapshot", "save all objects to a file, or restore them from one")
    save = snapshot.add("save", _save, "save all objects to a file")
    save.add_argument("file", type=Path, metavar="FILE", help="replaced in one step if it exists")
    restore = snapshot.add("restore", _restore, "replace all objects by those of a file", RESTORE_DESCRIPTION)
    restore.add_argument("file", type=Path, metavar="FILE", help="written by `snapshot save` or by `etcdctl`")


def _status(options: argparse.Namespace, console: Console) -> int:
    statuses = Cluster(options.dir, console).etcd().status()
    if options.output == "json":
        print(json.dumps(statuses, indent=2))
    else:
        rows: list[tuple[Cell, ...]] = [
            (
                status["name"],
                _role(status),
                status.get("version", "-"),
                _size(status["size"]) if "size" in status else "-",
                str(status.get("revision", "-")),
                str(status.get("term", "-")),
                status.get("error") or ", ".join(status["alarms"]) or "none",
            )
            for status in statuses
        ]
        Console(sys.stdout).table(("MEMBER", "ROLE", "VERSION", "SIZE", "REVISION", "TERM", "PROBLEMS"), rows)
    return 1 if any("error" in status or status["alarms"] for status in statuses) else 0


def _role(status: dict[str, Any]) -> Cell:
    if "error" in status:
        return "unreachable", RED
    return ("leader", GREEN) if status["leader"] == status["name"] else "follower"


def _members(options: argparse.Namespace, console: Console) -> int:
    members = Cluster(options.dir, console).etcd().members()
    if options.output == "json":
        print(json.dumps(members, indent=2))
    else:
        rows = [
            (member["name"], member["id"], ",".join(member["client_urls"]), ",".join(member["peer_urls"]))
            for member in sorted(members, key=lambda member: str(member["name"]))
        ]
        Console(sys.stdout).table(("MEMBER", "ID", "CLIENTS", "PEERS"), rows)
    return 0


def _defrag(options: argparse.Namespace, console: Console) -> int:
    for sizes in Cluster(options.dir, console).etcd().defragment():
        console.good(f"{sizes['name']}: {_size(sizes['before'])} -> {_size(sizes['after'])}")
    return 0


def _save(options: argparse.Namespace, console: Console) -> int:
    snapshot = Cluster(options.dir, console).etcd().save_snapshot(options.file)
    console.title(f"Saved {_size(snapshot['size'])} at revision {snapshot['revision']} to {options.file}")
    console.good(f"the keys of its Secrets are in {options.file}.keys.yaml")
    return 0


def _restore(options: argparse.Namespace, console: Console) -> int:
    console.title(f"Restoring {options.file}")
    Cluster(options.dir, console).restore_snapshot(options.file)
    console.title(f"Restored; the cluster is up ({console.seconds():.1f} s)")
    return 0


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
