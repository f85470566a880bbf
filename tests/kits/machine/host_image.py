"""A test image from this machine's own shell and small programs, each with the libraries it needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from componentbase.image_archive import Entry, ImageConfig, image_archive, layer, program

PROGRAMS = ("sh", "sleep", "cat", "echo", "true", "id", "env", "ls", "head", "hostname", "pwd", "touch", "stat", "ps")
PASSWD = b"root:x:0:0:root:/:/bin/sh\napp:x:1234:1234:app:/:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1234:\n"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@lru_cache(maxsize=1)
def _layer(programs: Sequence[str]) -> bytes:
    entries: dict[str, Entry | bytes] = {
        "/etc/passwd": PASSWD,
        "/etc/group": GROUP,
        "/tmp": Entry(None, 0o1777),
        "/proc": Entry(None),
    }
    for name in programs:
        path = shutil.which(name)
        if path is None:
            raise RuntimeError(f"this machine has no {name}")
        entries[f"/bin/{name}"] = program(Path(path).resolve().read_bytes())
        for library in _libraries(path):
            entries[library] = program(Path(library).resolve().read_bytes())
    return layer(entries)


def _libraries(path: str) -> list[str]:
    """Absolute paths of what the dynamic linker loads for a program, the linker included."""
    shown = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", shown)


def host_image(tag: str, *, user: str = "", cmd: Sequence[str] = ("sh", "-c", "sleep 1000")) -> bytes:
    """An archive for `docker load`, named `tag`."""
    config = ImageConfig(
        cmd=cmd,
        env={"PATH": "/bin", "FROM_IMAGE": "yes"},
        user=user,
        architecture=ARCHITECTURES[os.uname().machine],
    )
    return image_archive([tag], [_layer(PROGRAMS)], config)
