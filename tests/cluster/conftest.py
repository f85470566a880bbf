"""The shared cluster of two worker hosts (from the project's own pytest plugin), and an image to run on it."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from componentbase.image_archive import Entry, ImageConfig, image_archive, layer, program
from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine

BUSYBOX = Path("/bin/busybox")
IMAGE = "mini-kubernetes/tests:1"
GUESTBOOK_IMAGE = "mini-kubernetes/guestbook:1.0"
APPLETS = ["sh", "cat", "echo", "env", "httpd", "id", "ls", "nc", "ps", "sleep", "true", "touch", "rm", "kill", "date"]
APPLETS += ["stty", "tar"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@pytest.fixture(scope="session")
def image(cluster: ClusterHandle, small_archive: Path) -> str:
    """The small image, on every node."""
    cluster.load_archive(small_archive)
    return IMAGE


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`IMAGE`: a shell with small programs, and a web server that answers /hostname with the pod's name."""
    files = {"/bin/busybox": program(BUSYBOX.read_bytes()), "/tmp": Entry(None, 0o1777), "/proc": Entry(None)}
    files |= {f"/bin/{name}": Entry(link="busybox") for name in APPLETS}
    script = b"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\ncat /etc/hostname\n"
    files["/www/cgi-bin/hostname"] = program(script)
    files["/www/ok"] = Entry(b"ok\n")
    config = ImageConfig(env={"PATH": "/bin"}, architecture=ARCHITECTURES[platform.machine()])
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    archive.write_bytes(image_archive([IMAGE], [layer(files)], config))
    return archive


@pytest.fixture
def mk(cluster: ClusterHandle, namespace: str, image: str) -> CommandLine:
    """mini-kubectl in the test's own namespace."""
    return CommandLine(cluster.kubeconfig, namespace)


@pytest.fixture(scope="session")
def guestbook_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guestbook's image: a shell, a web server on port 8080, nc."""
    path = tmp_path_factory.mktemp("image") / "guestbook.tar"
    builder = Path(__file__).parents[2] / "examples" / "guestbook" / "build_image.py"
    subprocess.run([sys.executable, builder, path], check=True)
    return path
