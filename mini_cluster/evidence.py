"""Writes down what a cluster looks like: its logs, objects, and what each worker host's network and engine hold.

For a test that fails: the cluster will be gone when somebody reads about it. Everything is collected as far as it goes;
what can't be had leaves its error in the place of its text.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from mini_cluster.api import AdminApi
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState, load_state
from mini_cluster.errors import LauncherError

PIECE_BYTES = 256 * 1024  # of one log, list of objects or command's output; of a longer one the end is kept
COMMAND_SECONDS = 10.0
OBJECTS = (
    "/api/v1/nodes",
    "/api/v1/pods",
    "/api/v1/events",
    "/api/v1/services",
    "/apis/discovery.k8s.io/v1/endpointslices",
)
NETWORK_COMMANDS = (
    ["ip", "address"],
    ["ip", "-4", "route", "show", "table", "all"],
    ["ip", "-6", "route", "show", "table", "all"],
    ["ip", "neighbour"],
    ["iptables-save"],
    ["ip6tables-save"],
)


def collect(layout: Layout, folder: Path) -> None:
    """Fills `folder`: `logs/`, `objects/`, `machine.txt`, and a text for each worker host."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_logs(layout.logs, folder / "logs")
    write_commands(folder / "machine.txt", [*NETWORK_COMMANDS, ["ps", "-eo", "pid,ppid,stat,lstart,time,args"]])
    try:
        state = load_state(layout.state)
    except LauncherError as error:
        (folder / "error.txt").write_text(f"{error}\n")
        return
    if state is not None:
        for node in state.nodes:
            commands = host_commands(layout.netns(node.name), layout.node(node.name).docker_socket)
            write_commands(folder / f"{node.name}.txt", commands)
        _write_objects(layout, state, folder / "objects")


def copy_logs(logs: Path, folder: Path) -> None:
    """Copies the end of each file in `logs`."""
    folder.mkdir(exist_ok=True)
    for path in logs.glob("*"):
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - PIECE_BYTES))
            (folder / path.name).write_bytes(file.read(PIECE_BYTES))


def host_commands(netns: str, docker_socket: Path) -> list[list[str]]:
    """Returns what shows a host's containers, addresses, routes, packet rules and connections."""
    inside = ["nsenter", f"--net=/run/netns/{netns}", "--"]
    engine = ["docker", "--host", f"unix://{docker_socket}"]
    network = [[*inside, *command] for command in NETWORK_COMMANDS]
    return [[*engine, "ps", "--all", "--no-trunc"], *network, [*inside, "conntrack", "--dump"]]


def write_commands(path: Path, commands: Sequence[Sequence[str]]) -> None:
    """Writes each command and what it prints."""
    with path.open("wb") as file:
        for command in commands:
            file.write(b"$ %b\n%b\n" % (" ".join(command).encode(), _end(_output(command))))


def _output(command: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error).encode()
    return done.stdout


def _write_objects(layout: Layout, state: ClusterState, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in OBJECTS:
        try:
            with closing(AdminApi.local(layout, state.ports.api)) as api:
                text = json.dumps(api.request("GET", path), indent=1)
        except (LauncherError, OSError) as error:  # an OSError for certificates that are not there yet
            text = str(error)
        (folder / f"{path.rpartition('/')[2]}.json").write_bytes(_end(text.encode()))


def _end(text: bytes) -> bytes:
    return text[-PIECE_BYTES:]
