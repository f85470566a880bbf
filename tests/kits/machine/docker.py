"""A worker host for tests of the runtime alone: a network namespace with a Docker engine in it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from componentbase.host.process import run
from kubelet.network.bridge import Bridge
from kubelet.network.pod_network import PodNetwork
from kubelet.runtime.docker.runtime import DockerRuntime
from mini_cluster import evidence
from mini_cluster.cluster.containerd import machine_has_containerd, start_containerd, use_containerd
from tests.kits.eventually import eventually
from tests.kits.machine.host_image import host_image
from tests.kits.machine.netns import unique
from tests.kits.node.runtime_contract import IMAGE
from tests.kits.process import Process

USER_IMAGE = "docker.io/library/rt-user:1"  # runs as the named user "app", 1234


def missing_for_worker_host() -> str:
    """Why this machine can have none; "" when it can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in ("dockerd", "ip", "nsenter") if shutil.which(name) is None]
    return f"needs {', '.join(absent)}" if absent else ""


class WorkerHost:
    """`folder` holds all of the engine's files; `subnet` is the third byte of its bridge's network."""

    def __init__(self, name: str, folder: Path, subnet: int) -> None:
        self.name = name
        self.folder = folder
        self.subnet = subnet
        self.socket = folder / "docker.sock"
        self._engine = Process("dockerd", folder)

    @property
    def endpoint(self) -> str:
        return f"unix://{self.socket}"

    def network(self) -> PodNetwork:
        """The network of its pods, as its kubelet has it."""

        async def inside(*argv: str, **options: Any) -> str:
            return await run("nsenter", f"--net=/var/run/netns/{self.name}", *argv, **options)

        ranges = (f"10.244.{self.subnet}.0/24",)
        return PodNetwork(str(self.folder / "network"), Bridge("cbr0", (), inside), ranges)

    def up(self) -> None:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        # Not `ip netns exec`: it remounts /sys, and the engine then misses its cgroups.
        self.run("ip", "link", "set", "lo", "up")
        self.start_engine()

    def run(self, *argv: str) -> str:
        """A command inside the namespace; its standard output."""
        inside = ["nsenter", f"--net=/var/run/netns/{self.name}", *argv]
        return subprocess.run(inside, check=True, capture_output=True, text=True).stdout

    def start_engine(self) -> None:
        command = [
            "nsenter",
            f"--net=/var/run/netns/{self.name}",
            "dockerd",
            f"--host={self.endpoint}",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/docker.pid",
            "--bridge=none",
            "--iptables=false",
            "--ip-masq=false",
            "--live-restore",
        ]
        if machine_has_containerd():
            folders = self.folder / "exec", self.folder / "data"
            command = [*command[:2], *start_containerd(*folders), *command[2:], use_containerd(folders[0])]
        self._engine.run(command, ready=self._answers, start_new_session=True)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.settimeout(1)
                connection.connect(str(self.socket))
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200" in connection.recv(64)
            except OSError:
                return False

    def kill_engine(self) -> None:
        """As a crash: the engine and its containerd are gone, containers are left to their shims."""
        containerd = self._containerd_pid()
        self._engine.kill()
        # An engine that starts while its old containerd is still dying waits 15 s for that one and then gives up.
        eventually(lambda: not (containerd and Path(f"/proc/{containerd}").exists()), "containerd ends")

    def _containerd_pid(self) -> str:
        file = self.folder / "exec" / "containerd" / "containerd.pid"
        return file.read_text().strip() if file.exists() else ""

    def collect_evidence(self, folder: Path) -> None:
        evidence.write_commands(folder / "host.txt", evidence.host_commands(self.name, self.socket))
        (folder / "dockerd.log").write_text(self._engine.words()[-evidence.PIECE_BYTES :])

    def down(self) -> None:
        """Also after a test that left the engine dead: with live restore containers outlive it."""
        self._engine.stop()
        for shim in _processes_with(f"-address {self.folder}/exec/"):
            for pid in (*_children(shim), shim):
                os.kill(pid, signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        subprocess.run(["ip", "netns", "delete", self.name], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def _processes_with(text: str) -> list[int]:
    """Pids whose command line contains `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if text in (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                    found.append(int(entry.name))
    return found


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def worker_host(name: str, folder: Path, subnet: int) -> Iterator[WorkerHost]:
    """For a fixture: a host that has the test image."""
    if reason := missing_for_worker_host():
        pytest.skip(reason)
    host = WorkerHost(unique(name), folder, subnet)
    try:
        host.up()
        asyncio.run(_load_test_images(host))
        yield host
    finally:
        host.down()


async def _load_test_images(host: WorkerHost) -> None:
    runtime = DockerRuntime(host.endpoint, host.network())
    await runtime.load_image(host_image(IMAGE))
    await runtime.load_image(host_image(USER_IMAGE, user="app"))
    await runtime.close()


@asynccontextmanager
async def open_runtime(host: WorkerHost) -> AsyncIterator[DockerRuntime]:
    """Leaves no container and no volume behind."""
    runtime = DockerRuntime(host.endpoint, host.network(), seccomp_root=str(host.folder))
    try:
        yield runtime
    finally:
        for pod in (await runtime.pods()).values():
            for container in pod.containers:
                await runtime.remove_container(container.id)
            for sandbox in pod.sandboxes:
                await runtime.remove_sandbox(sandbox.id)
        for name in await runtime.memory_volumes():
            await runtime.remove_memory_volume(name)
        await runtime.close()
