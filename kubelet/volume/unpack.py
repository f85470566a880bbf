"""Unpacks the layers of an image's archive into a new directory: `python -m kubelet.volume.unpack ARCHIVE DIRECTORY`.

A process of its own, which locks itself into the directory before it reads a name: whatever paths and links the image
holds, nothing outside can be reached.
Source: OCI image specification, "Image Layer Filesystem Changeset".
"""

from __future__ import annotations

import gzip  # noqa: F401  before the root changes: `tarfile` imports it only once it needs it
import json
import os
import shutil
import sys
import tarfile
from typing import BinaryIO

WHITEOUT = ".wh."
"""Before the name of a file of a lower layer: it is removed."""
OPAQUE = ".wh..wh..opq"
"""A file of this name: everything of lower layers in its folder is removed."""


def unpack(archive: BinaryIO) -> None:
    """Unpacks into the root directory, the lowest layer first. Raises: tarfile.TarError; ValueError; OSError."""
    with tarfile.open(fileobj=archive, mode="r:") as image:
        manifest = image.extractfile("manifest.json")
        if manifest is None:
            raise ValueError("manifest.json is not a file")
        for name in json.load(manifest)[0]["Layers"]:
            with tarfile.open(fileobj=image.extractfile(name)) as layer:
                _remove_hidden(layer)
                _add(layer)


def _remove_hidden(layer: tarfile.TarFile) -> None:
    for member in layer:
        folder, name = os.path.split(os.path.join("/", member.name))
        if name == OPAQUE:
            for entry in os.listdir(folder) if os.path.isdir(folder) else ():
                _remove(os.path.join(folder, entry))
        elif name.startswith(WHITEOUT):
            _remove(os.path.join(folder, name.removeprefix(WHITEOUT)))


def _add(layer: tarfile.TarFile) -> None:
    for member in layer:
        path = os.path.normpath(os.path.join("/", member.name))
        if os.path.basename(path).startswith(WHITEOUT) or member.isdev():
            continue
        if not (member.isdir() and os.path.isdir(path) and not os.path.islink(path)):
            _remove(path)  # else a file would be written through a link that a lower layer has there
        if member.isreg():
            member.mode &= 0o666
        layer.extract(member, "/", numeric_owner=True, filter="fully_trusted")


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def main() -> int:
    archive, directory = sys.argv[1:]
    with open(archive, "rb") as file:
        os.mkdir(directory)
        os.chroot(directory)
        os.chdir("/")
        try:
            unpack(file)
        except (tarfile.TarError, ValueError, LookupError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
