"""The pause program, which holds a pod's namespaces, and its image, made here because no registry may be at hand.

The program waits for signals: SIGINT and SIGTERM end it with code 0, SIGCHLD makes it collect the children that a
shared process namespace leaves to it as process 1. `deploy/pause_program.py` makes it.
"""

from __future__ import annotations

import base64

from componentbase.image_archive import ImageConfig, image_archive, layer, program

DEFAULT_IMAGE = "registry.k8s.io/pause:3.10"
PATH = "/pause"
USER = "65535:65535"

MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PROGRAMS = {
    "amd64": base64.b64decode(
        "f0VMRgIBAQAAAAAAAAAAAAIAPgABAAAAeABAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAEAAOAABAAAAAAAAAAEAAAAFAAAAAAAA"
        "AAAAAAAAAEAAAAAAAAAAQAAAAAAA0AAAAAAAAADQAAAAAAAAAAAAAQAAAAAAMf9IjTVHAAAAMdJqCEFaag5YDwVIjT01AAAAMfYx"
        "0moIQVq4gAAAAA8Fg/gRdAuFwH7hMf9qPFgPBWr/XzH2agFaRTHSaj1YDwWFwH/s68QCQAEAAAAAAA=="
    ),
    "arm64": base64.b64decode(
        "f0VMRgIBAQAAAAAAAAAAAAIAtwABAAAAeABAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAEAAOAABAAAAAAAAAAEAAAAFAAAAAAAA"
        "AAAAAAAAAEAAAAAAAAAAQAAAAAAA9AAAAAAAAAD0AAAAAAAAAAAAAQAAAAAAswMAEAAAgNLhAxOqAgCA0gMBgNLoEIDSAQAA1OAD"
        "E6oBAIDSAgCA0gMBgNIoEYDSAQAA1B9EAHHAAABUHwAAce3+/1QAAIDSqAuA0gEAANQAAICSAQCA0iIAgNIDAIDSiCCA0gEAANQf"
        "AABxLP//VOv//xcCQAEAAAAAAA=="
    ),
}
"""A static ELF file for each architecture."""


def pause_archive(architecture: str, name: str = DEFAULT_IMAGE) -> bytes:
    """Makes the image archive to load. Raises: KeyError for an unknown architecture."""
    config = ImageConfig(entrypoint=[PATH], user=USER, architecture=architecture)
    return image_archive([name], [layer({PATH: program(PROGRAMS[architecture])})], config)
