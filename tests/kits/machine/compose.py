"""A machine of its own for the compose test: a network namespace with a container engine, gone without a trace.

An engine on the machine itself would leave its bridge and its packet rules behind, and could be the user's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mini_cluster.cluster.containerd import machine_has_containerd, start_containerd, use_containerd
from mini_cluster.evidence import NETWORK_COMMANDS, PIECE_BYTES, host_commands, write_commands
from mini_cluster.hosts.sweep import unmount_below
from mini_cluster.machine.processes import kill_all, with_descendants
from tests.kits.process import Process

PLUGINS = Path(sys.prefix) / "docker"
"""The configuration of `docker` in which the set-up has put Compose v2, where that is made for this machine."""


class EngineHost:
    """`run` runs a command inside, with DOCKER_HOST set to its engine. `folder` holds everything of the engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.netns = f"compose-{os.getpid()}"
        self.run_folder = Path(f"/run/{self.netns}")
        self.environment = os.environ | {"DOCKER_HOST": f"unix://{self.run_folder}/docker.sock"}
        if PLUGINS.is_dir():
            self.environment["DOCKER_CONFIG"] = str(PLUGINS)

    def __enter__(self) -> EngineHost:
        self.run_folder.mkdir()
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        subprocess.run(["ip", "-n", self.netns, "link", "set", "lo", "up"], check=True)
        command = [
            "dockerd",
            f"--host=unix://{self.run_folder}/docker.sock",
            f"--data-root={self.folder}/docker",
            f"--exec-root={self.run_folder}/docker",
            f"--pidfile={self.run_folder}/docker.pid",
            "--log-level=warn",
        ]
        if machine_has_containerd():
            folders = self.run_folder / "docker", self.folder / "docker"
            command = [*start_containerd(*folders), *command, use_containerd(folders[0])]
        self._engine = Process("dockerd", self.folder)
        self._engine.run(self._inside(command), ready=self._answers, start_new_session=True)
        return self

    def _answers(self) -> bool:
        return (
            subprocess.run(["docker", "version"], env=self.environment, capture_output=True, check=False).returncode
            == 0
        )

    def run(self, *command: str, check: bool = True, seconds: float = 400) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self._inside(list(command)),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done

    def collect_evidence(self, folder: Path) -> None:
        """What the engine runs, the end of each container's log; the workers' own containers, addresses and rules."""
        (folder / "dockerd.log").write_text(self._engine.words()[-PIECE_BYTES:])
        engine = ["docker", "--host", self.environment["DOCKER_HOST"]]
        machine = host_commands(self.netns, self.run_folder / "docker.sock")
        names = self.run("docker", "ps", "--all", "--format", "{{.Names}}", check=False, seconds=10).stdout.split()
        write_commands(folder / "machine.txt", [*machine, *([*engine, "logs", "--tail=300", name] for name in names)])
        for worker in (name for name in names if "worker" in name):
            inside = [*engine, "exec", worker]
            containers = [*inside, "docker", "--host=unix:///run/node/docker.sock", "ps", "--all"]
            write_commands(folder / f"{worker}.txt", [containers, *([*inside, *each] for each in NETWORK_COMMANDS)])

    def __exit__(self, *_: object) -> None:
        inode = Path(f"/run/netns/{self.netns}").stat().st_ino
        prefix = f"{self.run_folder}/"
        kill_all(
            lambda processes: with_descendants(
                processes,
                {
                    process.pid
                    for process in processes.values()
                    if process.netns == inode or any(argument.startswith(prefix) for argument in process.argv)
                },
            )
        )
        self._engine.kill()
        unmount_below([self.run_folder, self.folder])
        for address in self.run_folder.glob("docker/containerd/daemon/io.containerd.runtime.v2.task/*/*/address"):
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
        shutil.rmtree(self.run_folder)
        subprocess.run(["ip", "netns", "delete", self.netns], check=True)

    def _inside(self, command: list[str]) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.netns}", "--", *command]
