"""A containerd of its own for a worker host's engine.

dockerd starts one by itself, unless it finds that of the machine: then it uses that, as every other dockerd of the
machine does. The containers of all hosts, and the user's own, would be kept together, and what a host leaves behind
would stay there. So where the machine has one, this starts another before dockerd and tells dockerd to use it.
"""

from __future__ import annotations

import os
from pathlib import Path

MACHINE_SOCKET = Path("/run/containerd/containerd.sock")
"""Where dockerd looks for the machine's."""


def machine_has_containerd() -> bool:
    return os.path.exists(MACHINE_SOCKET)  # Path.exists() raises where only root may look


_START = """\
set -e
folder=$1 root=$2
shift 2
mkdir -p "$folder"
rm -f "$folder/containerd.sock"
cat >"$folder/containerd.toml" <<END
version = 2
root = "$root"
state = "$folder/daemon"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$folder/containerd.sock"
END
setpriv --pdeathsig KILL sh -c 'while :; do setpriv --pdeathsig KILL "$@"; sleep 0.5; done' sh \\
    containerd --config "$folder/containerd.toml" --log-level warn &
until [ -S "$folder/containerd.sock" ]; do sleep 0.02; done
exec "$@"
"""
"""Starts containerd, and again when it dies, and becomes the command that follows. containerd dies with that."""


def start_containerd(exec_root: Path, data_root: Path) -> tuple[str, ...]:
    """Returns the command to put before that of the dockerd with these folders.

    Files are where a containerd that dockerd starts would have them.
    """
    return ("sh", "-c", _START, "sh", str(exec_root / "containerd"), str(data_root / "containerd" / "daemon"))


def use_containerd(exec_root: Path) -> str:
    """Returns dockerd's flag for it."""
    return f"--containerd={exec_root}/containerd/containerd.sock"
