"""What the launcher knows of one process: its command line, what it waits for, and how to see that it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class HttpsProbe:
    """Ready when `path` answers 200. Certificates are names below the PKI folder."""

    host: str
    port: int
    path: str
    authority: str = "ca"
    certificate: str = "admin"


@dataclass(frozen=True)
class HttpProbe:
    """Ready when `path` answers 200, without TLS."""

    host: str
    port: int
    path: str


@dataclass(frozen=True)
class SocketProbe:
    """Ready when the HTTP server on a unix socket answers `path` with 200."""

    socket: Path
    path: str


@dataclass(frozen=True)
class OwnHttpsProbe:
    """Ready when `path` answers 200 to a client that trusts whoever answers: a kubelet whose certificate waits for its
    approval has signed one itself."""

    host: str
    port: int
    path: str


ReadinessProbe = HttpsProbe | OwnHttpsProbe | HttpProbe | SocketProbe


@dataclass(frozen=True)
class Component:
    """One process to keep alive."""

    name: str
    program: tuple[str, ...]
    """Path and arguments, as the process itself sees them."""
    ready: ReadinessProbe
    wrapper: tuple[str, ...] = ()
    """A command that goes before the program and replaces itself with it (nsenter)."""
    needs: tuple[str, ...] = ()
    """Components, or groups of them by majority, that must be ready before this one is started."""
    group: str = ""
    """The group that it is a member of."""
    node: str = ""
    """The worker host that it belongs to; "" for the control plane."""
    logs_itself: bool = True
    """Writes its log file; else its standard error goes there."""
    host_stop_seconds: float = 0
    """SIGPWR has it end what it keeps, and then itself, within this time: before its host is switched off in order."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def argv(self) -> tuple[str, ...]:
        return self.wrapper + self.program


@dataclass(frozen=True)
class Programs:
    """Paths of the executables: `scripts` is the folder of our console scripts, the others are paths."""

    scripts: Path
    etcd: str
    dockerd: str
    nsenter: str
    registry: str = "docker-registry"
    machine_has_containerd: bool = False
    """An engine would use the machine's containerd unless it is given another."""
    resolv_conf: str = "/etc/resolv.conf"
    """The machine's resolvers, by addresses that worker hosts reach."""

    def script(self, name: str) -> str:
        return str(self.scripts / name)
