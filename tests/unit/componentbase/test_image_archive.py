"""Images made without an engine, the pause image among them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import select
import signal
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from componentbase.image_archive import Entry, ImageConfig, image_archive, image_id, layer, program
from kubelet.runtime.docker.pause import MACHINES, SIGNAL_SET, pause_archive, pause_image_id, pause_program


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {info.name: info for info in tar.getmembers()}


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_a_layer_has_files_links_and_the_folders_above_them() -> None:
    made = layer({"/bin/tool": program(b"x"), "/etc/app/conf": b"data", "/bin/alias": Entry(None, link="tool", uid=5)})
    found = members(made)
    assert list(found) == ["bin", "bin/alias", "bin/tool", "etc", "etc/app", "etc/app/conf"]
    assert found["bin"].isdir()
    assert (found["bin/tool"].mode, found["etc/app/conf"].mode) == (0o755, 0o644)
    assert (found["bin/alias"].linkname, found["bin/alias"].uid) == ("tool", 5)
    assert content(made, "etc/app/conf") == b"data"
    assert all(info.mtime == 0 for info in found.values())


def test_an_archive_names_its_layers_and_is_the_same_each_time() -> None:
    layers = [layer({"/a": b"1"}), layer({"/b": b"2"})]
    config = ImageConfig(cmd=["run"], env={"A": "b"}, user="1000", labels={"x": "y"})
    archive = image_archive(["app:1", "app:latest"], layers, config)
    assert archive == image_archive(["app:1", "app:latest"], layers, config)
    (manifest,) = json.loads(content(archive, "manifest.json"))
    assert manifest["RepoTags"] == ["app:1", "app:latest"]
    document = content(archive, manifest["Config"])
    assert f"sha256:{hashlib.sha256(document).hexdigest()}" == image_id(layers, config)
    diff_ids = [f"sha256:{hashlib.sha256(content(archive, name)).hexdigest()}" for name in manifest["Layers"]]
    parsed = json.loads(document)
    assert parsed["rootfs"]["diff_ids"] == diff_ids
    assert parsed["config"] == {"Cmd": ["run"], "Env": ["A=b"], "User": "1000", "Labels": {"x": "y"}}


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_pause_is_a_small_static_executable(architecture: str, machine: int) -> None:
    data = pause_program(architecture)
    assert data[:7] == b"\x7fELF\x02\x01\x01"
    kind, found_machine = struct.unpack_from("<HH", data, 16)
    entry, table = struct.unpack_from("<QQ", data, 24)
    load, _, offset, address = struct.unpack_from("<IIQQ", data, table)
    assert (kind, found_machine, load, offset) == (2, machine, 1, 0)
    assert entry == address + 120
    assert struct.unpack_from("<Q", data, len(data) - 8)[0] == SIGNAL_SET
    assert len(data) < 256


def test_the_pause_image_runs_it() -> None:
    archive = pause_archive("amd64", "registry.example/pause:1")
    (manifest,) = json.loads(content(archive, "manifest.json"))
    assert manifest["RepoTags"] == ["registry.example/pause:1"]
    config = json.loads(content(archive, manifest["Config"]))
    assert config["config"] == {"Entrypoint": ["/pause"], "User": "65535:65535"}
    assert pause_image_id("amd64") == "sha256:" + manifest["Config"].removesuffix(".json")
    assert content(content(archive, manifest["Layers"][0]), "pause") == pause_program("amd64")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pause_waits_and_ends_on_a_signal_with_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen([_installed(tmp_path)]) as process:
        descriptor = os.pidfd_open(process.pid)
        try:
            assert select.select([descriptor], [], [], 0.2)[0] == [], "pause ended by itself"
            process.send_signal(signal.SIGCHLD)
            assert select.select([descriptor], [], [], 0.1)[0] == [], "pause ended on SIGCHLD"
            process.send_signal(number)
            assert process.wait(5) == 0
        finally:
            os.close(descriptor)
            process.kill()


def _installed(folder: Path) -> str:
    file = folder / "pause"
    file.write_bytes(pause_program(MACHINES[os.uname().machine]))
    file.chmod(0o755)
    return str(file)
