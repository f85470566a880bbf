"""The pause program: what its maker makes, and how it runs."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import select
import signal
import struct
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from kubelet.runtime.docker.pause import MACHINES, PROGRAMS, pause_archive

ROOT = Path(__file__).parents[4]


def load_maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pause_program", ROOT / "deploy" / "pause_program.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = load_maker()


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


@pytest.mark.parametrize("architecture", sorted(set(MACHINES.values())))
def test_the_constants_are_what_the_maker_makes(architecture: str) -> None:
    assert PROGRAMS[architecture] == MAKER.pause_program(architecture)


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_pause_is_a_small_static_executable(architecture: str, machine: int) -> None:
    data = PROGRAMS[architecture]
    assert data[:7] == b"\x7fELF\x02\x01\x01"
    kind, machine_of_file = struct.unpack_from("<HH", data, 16)
    entry, table = struct.unpack_from("<QQ", data, 24)
    load, _, offset, address = struct.unpack_from("<IIQQ", data, table)
    assert (kind, machine_of_file, load, offset) == (2, machine, 1, 0)
    assert entry == address + 120
    assert struct.unpack_from("<Q", data, len(data) - 8)[0] == MAKER.SIGNAL_SET
    assert len(data) < 256


def test_the_pause_image_runs_it() -> None:
    archive = pause_archive("amd64", "registry.example/pause:1")
    (manifest,) = json.loads(content(archive, "manifest.json"))
    assert manifest["RepoTags"] == ["registry.example/pause:1"]
    config = json.loads(content(archive, manifest["Config"]))
    assert config["config"] == {"Entrypoint": ["/pause"], "User": "65535:65535"}
    assert content(content(archive, manifest["Layers"][0]), "pause") == PROGRAMS["amd64"]


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
    file.write_bytes(PROGRAMS[MACHINES[os.uname().machine]])
    file.chmod(0o755)
    return str(file)
