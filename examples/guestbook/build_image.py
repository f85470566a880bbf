"""Makes the guestbook's image without a container engine or a registry: an archive that `docker load` reads.

    python examples/guestbook/build_image.py guestbook.tar
    mini-cluster load archive guestbook.tar

It holds Debian's statically linked busybox (a shell, sed and a web server in one file) and the scripts in `image/`.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from componentbase.image_archive import Entry, ImageConfig, image_archive, layer, program

IMAGE = "mini-kubernetes/guestbook:1.0"
SOURCES = Path(__file__).parent / "image"
BUSYBOX = Path("/bin/busybox")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
APPLETS = ("sh", "sed", "httpd", "cat", "ls", "ps", "kill", "sleep", "nc")


def guestbook_archive(busybox: bytes, machine: str) -> bytes:
    """Returns the archive; `machine` is the kernel's word for the architecture, as in `uname -m`."""
    base = {"/bin/busybox": program(busybox)} | {f"/bin/{name}": Entry(link="busybox") for name in APPLETS}
    own = {
        "/bin/guestbook": program((SOURCES / "guestbook").read_bytes()),
        "/www/cgi-bin/index.cgi": program((SOURCES / "index.cgi").read_bytes()),
        "/www/healthz": Entry((SOURCES / "healthz").read_bytes()),
    }
    config = ImageConfig(
        entrypoint=("/bin/guestbook",),
        env={"PATH": "/bin"},
        user="65534",
        architecture=ARCHITECTURES.get(machine, machine),
    )
    return image_archive([IMAGE], [layer(base), layer(own)], config)


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes the guestbook's image as an archive for `docker load`.")
    parser.add_argument("archive", type=Path)
    parser.add_argument("--busybox", type=Path, default=BUSYBOX, help="a static busybox (%(default)s)")
    options = parser.parse_args()
    if not options.busybox.is_file():
        print(f"{options.busybox} is missing: apt-get install busybox-static", file=sys.stderr)
        return 1
    options.archive.write_bytes(guestbook_archive(options.busybox.read_bytes(), platform.machine()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
