"""Finds the executables that a cluster is made of, and installs Debian's packages for those that are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mini_cluster.cluster.component import Programs
from mini_cluster.cluster.containerd import machine_has_containerd
from mini_cluster.cluster.state import DEFAULT_NODES
from mini_cluster.errors import LauncherError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSTALL_SECONDS = 900.0
SYSTEMD_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")


@dataclass(frozen=True)
class SystemRequirement:
    """An executable and Debian's package that has it."""

    program: str
    package: str
    reason: str


ETCD_REQUIREMENT = SystemRequirement("etcd", "etcd-server", "the store behind the API server")
ETCDCTL_REQUIREMENT = SystemRequirement("etcdctl", "etcd-client", "restoring a snapshot of etcd")
ENGINE_REQUIREMENT = SystemRequirement("dockerd", "docker.io", "the container engine of each worker host")
REGISTRY_REQUIREMENT = SystemRequirement("docker-registry", "docker-registry", "the image registry")
HOST_REQUIREMENTS = (
    ENGINE_REQUIREMENT,
    SystemRequirement("iptables", "iptables", "the packet rules of Services"),
    SystemRequirement("nft", "nftables", "the packet rules of NetworkPolicies"),
    SystemRequirement("ip", "iproute2", "the network of worker hosts"),
    SystemRequirement("nsenter", "util-linux", "starting a worker host's processes in its network namespace"),
    SystemRequirement("haproxy", "haproxy", "the requests that Ingresses route"),
    SystemRequirement("conntrack", "conntrack", "forgetting UDP connections to Pods that are gone"),
)
DOCKER_PACKAGES = ("docker-ce-cli", "containerd.io")
"""From Docker's own archive. Debian's docker.io can't be installed beside them, but docker-ce can."""


class MissingRequirement(LauncherError):
    """The cluster can't run here; the message says what is missing, why it is needed and how to get it."""


def requirements(nodes: int) -> list[SystemRequirement]:
    """Returns what a cluster with this many worker hosts needs."""
    return [ETCD_REQUIREMENT, *(HOST_REQUIREMENTS if nodes else ())]


def missing_requirements(
    needed: Sequence[SystemRequirement], find: Callable[[str], str | None], has_package: Callable[[str], bool]
) -> list[SystemRequirement]:
    """Returns those that `find` (a `which`) doesn't find, each with the package that fits the installed ones."""
    missing = [item for item in needed if not find(item.program)]
    if ENGINE_REQUIREMENT in missing and any(map(has_package, DOCKER_PACKAGES)):
        missing[missing.index(ENGINE_REQUIREMENT)] = replace(ENGINE_REQUIREMENT, package="docker-ce")
    return missing


def has_package(name: str) -> bool:
    """Tells whether a package of Debian's kind is installed; False where there are none."""
    try:
        query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", name]
        return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"
    except FileNotFoundError:
        return False


def explain_missing(missing: list[SystemRequirement]) -> str:
    """Tells a user what to install by hand, and how."""
    lines = [f"  {item.program:<10} {item.reason}" for item in missing]
    packages = " ".join(dict.fromkeys(item.package for item in missing))
    return "\n".join(
        [
            "these programs are missing and could not be installed from here:",
            *lines,
            "on Debian or Ubuntu, as root:",
            f"  apt-get update && apt-get install -y --no-install-recommends {packages}",
        ]
    )


def find_program(name: str) -> str | None:
    """Like `which`, also in the folders that a user's PATH may lack."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def find_programs() -> Programs:
    """Paths of everything that the launcher starts; one that isn't installed is its bare name."""
    return Programs(
        scripts=Path(sys.executable).parent,
        etcd=find_program("etcd") or "etcd",
        dockerd=find_program("dockerd") or "dockerd",
        nsenter=find_program("nsenter") or "nsenter",
        registry=find_program("docker-registry") or "docker-registry",
        machine_has_containerd=machine_has_containerd(),
        resolv_conf=str(resolv_conf()),
    )


def resolv_conf(file: Path = Path("/etc/resolv.conf"), behind: Path = SYSTEMD_RESOLV_CONF) -> Path:
    """Returns the file with the machine's resolvers: behind a stub on loopback, which hosts don't reach, systemd's."""
    try:
        words = [line.split() for line in file.read_text(errors="replace").splitlines()]
    except OSError:
        return file
    servers = [line[1] for line in words if line[:1] == ["nameserver"] and len(line) > 1]
    is_stub = all(server.startswith("127.") or server == "::1" for server in servers)
    return behind if servers and is_stub and behind.exists() else file


def ensure_cluster_requirements(nodes: int, say: Callable[[str], None]) -> None:
    """Installs what a cluster with this many worker hosts lacks, where that is possible.

    Raises: MissingRequirement.
    """
    if nodes and os.geteuid() != 0:
        raise MissingRequirement(
            "worker hosts need root (network namespaces, container engines): run the command with sudo, "
            "or `mini-cluster up --nodes 0` for an API without worker hosts"
        )
    ensure_requirements(requirements(nodes), say)


def ensure_requirements(needed: Sequence[SystemRequirement], say: Callable[[str], None]) -> None:
    """Installs those that are missing, where that is possible. Raises: MissingRequirement."""
    missing = missing_requirements(needed, find_program, has_package)
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        packages = list(dict.fromkeys(item.package for item in missing))
        say(f"installing {', '.join(packages)}")
        install_packages(packages)
        missing = missing_requirements(needed, find_program, has_package)
    if missing:
        raise MissingRequirement(explain_missing(missing))


def install_packages(packages: list[str]) -> None:
    """`apt-get install`; the package lists are fetched first only when they turn out to be needed.

    Raises: MissingRequirement with what apt-get said.
    """
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    output = ""
    for command in (install, ["apt-get", "update", "-q"], install):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        output = done.stdout + done.stderr
        if command is install and done.returncode == 0:
            return
    raise MissingRequirement(f"`{' '.join(install)}` failed:\n{output.strip()[-2000:]}")


def main() -> int:
    """Installs what a cluster with worker hosts needs."""
    try:
        ensure_cluster_requirements(DEFAULT_NODES, lambda text: print(text, file=sys.stderr))
    except MissingRequirement as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
