"""Learns from the engine's process, where that can be seen, what the machine lets the engine do. Linux only."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from kubelet.runtime.docker.bodies import Host

CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""In the kernel's order: the place of a name is its bit."""

POSSIBLE_HOSTS = (
    Host(),
    Host(min_oom_score_adj=0),
    Host(min_oom_score_adj=0, missing_capabilities=("SYS_RESOURCE",)),
)
"""The rights that machines may grant, the most first: to be tried where the engine's process is out of sight."""

ENGINE_PROCESS = "dockerd"


def visible_host(socket_path: str) -> Host | None:
    """Reads the capabilities of the process behind the engine's socket; None when it cannot be seen.

    It is out of sight in another PID namespace, and when somebody else (socket activation) made the socket.
    """
    try:
        pid = _listener(socket_path)
        process = Path(f"/proc/{pid}")
        if not pid or (process / "comm").read_text().strip() != ENGINE_PROCESS:
            return None
        return host_of((process / "status").read_text(), int(Path("/proc/sys/kernel/cap_last_cap").read_text()))
    except OSError:
        return None


def shares_mounts(socket_path: str) -> bool:
    """Tells whether the process behind the engine's socket is in this one's mount namespace."""
    try:
        pid = _listener(socket_path)
        return bool(pid) and os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False


def _listener(socket_path: str) -> int:
    """Returns the pid of the listener of a Unix socket, 0 when it is in another PID namespace. Raises: OSError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(socket_path)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def host_of(status: str, last_capability: int) -> Host:
    """Reads the text of /proc/PID/status; `last_capability` is the highest that the kernel has."""
    bounding = int(next(line for line in status.splitlines() if line.startswith("CapBnd:")).split()[1], 16)
    names = CAPABILITIES[: last_capability + 1]
    missing = tuple(name for bit, name in enumerate(names) if not bounding >> bit & 1)
    return Host(min_oom_score_adj=0 if "SYS_RESOURCE" in missing else -1000, missing_capabilities=missing)
