"""Machines for tests: a network namespace each, with a mount namespace that has its own /sys, /run and /tmp.

Processes inside see each other's ids, but neither their links, routes and packet rules nor their sockets. They share
the files below the folder that a test gives them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from secrets import token_hex

from tests.kits.eventually import eventually

_SETUP = """\
set -e
mkdir -p /tmp/cgroup-of-machine
mount --rbind /sys/fs/cgroup /tmp/cgroup-of-machine
mount -t sysfs sysfs /sys
mount --rbind /tmp/cgroup-of-machine /sys/fs/cgroup
umount -l /tmp/cgroup-of-machine
mount -t tmpfs tmpfs /run
mkdir -p /run/netns
ip link set lo up
touch "$1"
exec sleep infinity
"""


class Switch:
    """A network cable for each machine, in one bridge of a name that no other test uses."""

    def __init__(self) -> None:
        self.name = name = f"mkjoin{token_hex(2)}"
        _ip("link", "add", name, "type", "bridge")
        _ip("link", "set", name, "up")
        self._rule = ["FORWARD", "-i", name, "-o", name, "-j", "ACCEPT"]
        subprocess.run(["iptables", "-w", "-I", *self._rule], check=True)

    def close(self) -> None:
        subprocess.run(["iptables", "-w", "-D", *self._rule], check=True)
        _ip("link", "delete", self.name)


class Machine:
    """`run` starts a program on the machine and returns its output."""

    def __init__(self, switch: Switch, number: int, folder: Path) -> None:
        self.folder = folder
        self.address = f"192.168.77.{number}"
        self._netns = f"{switch.name}-{number}"
        folder.mkdir(parents=True)
        _ip("netns", "add", self._netns)
        outside = f"{switch.name}p{number}"
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", self._netns)
        _ip("link", "set", outside, "master", switch.name, "up")
        for words in (("address", "add", f"{self.address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            _ip("-n", self._netns, *words)
        ready = folder / "machine-is-up"
        net = f"--net=/run/netns/{self._netns}"
        command = ["nsenter", net, "--", "unshare", "--mount", "--propagation", "private"]
        self._holder = subprocess.Popen([*command, "sh", "-c", _SETUP, "sh", str(ready)])
        eventually(ready.exists, "the machine is up")

    def run(self, *argv: str, check: bool = True, timeout: float = 170) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", "--target", str(self._holder.pid), "--net", "--mount", f"--wd={self.folder}", "--"]
        answer = subprocess.run([*inside, *argv], capture_output=True, text=True, timeout=timeout, check=False)
        if check:
            assert answer.returncode == 0, f"{argv}\n{answer.stdout}\n{answer.stderr}"
        return answer

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        _ip("netns", "delete", self._netns)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
