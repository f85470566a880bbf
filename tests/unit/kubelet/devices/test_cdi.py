"""Devices of the Container Device Interface become what an engine of any kind can give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubelet.devices.cdi import CdiEdits, CdiError, cdi_edits
from kubelet.devices.messages import DeviceSpec, MountSpec


def write(folder: Path, name: str, kind: str, edits: dict[str, Any], **devices: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    listed = [{"name": device, "containerEdits": own} for device, own in devices.items()]
    spec = {"cdiVersion": "1.0.0", "kind": kind, "devices": listed, "containerEdits": edits}
    (folder / name).write_text(json.dumps(spec))


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    return [str(tmp_path / "etc"), str(tmp_path / "run")]


def test_edits_of_devices_and_once_those_of_their_file(tmp_path: Path, folders: list[str]) -> None:
    node = {"path": "/dev/a", "hostPath": "/dev/vendor-a", "type": "c", "major": 1, "minor": 3, "permissions": "rw"}
    library = {"hostPath": "/usr/lib/v.so", "containerPath": "/lib/v.so", "options": ["ro", "nosuid", "bind"]}
    shared = {"env": ["VENDOR=all=on"], "mounts": [library], "additionalGids": [44]}
    write(tmp_path / "etc", "v.json", "vendor.com/card", shared, a={"deviceNodes": [node]}, b={"env": ["B=1"]})
    assert cdi_edits(["vendor.com/card=a", "vendor.com/card=b", "vendor.com/card=a"], folders) == CdiEdits(
        {"VENDOR": "all=on", "B": "1"},
        (MountSpec("/lib/v.so", "/usr/lib/v.so", True),),
        (DeviceSpec("/dev/a", "/dev/vendor-a", "rw"),),
        (44,),
    )


def test_a_later_folder_wins_and_a_broken_file_harms_nobody(tmp_path: Path, folders: list[str]) -> None:
    write(tmp_path / "etc", "v.json", "vendor.com/card", {}, a={"deviceNodes": [{"path": "/dev/old"}]})
    write(tmp_path / "run", "v.json", "vendor.com/card", {}, a={"deviceNodes": [{"path": "/dev/new"}]})
    (tmp_path / "run" / "w.yaml").write_text("{")
    (tmp_path / "run" / "notes.txt").write_text("kind: x")
    assert cdi_edits(["vendor.com/card=a"], folders).devices == (DeviceSpec("/dev/new", "/dev/new", "rwm"),)


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"hooks": [{"hookName": "createContainer", "path": "/x"}]}, "hooks not served on this node"),
        ({"mounts": [{"hostPath": "t", "containerPath": "/t", "type": "tmpfs"}]}, "mounts of type tmpfs"),
        ({"deviceNodes": [{"path": "/dev/a", "uid": 7}]}, "uid not served on this node"),
        ({"deviceNodes": [{"hostPath": "/dev/a"}]}, "'path'"),
    ],
)
def test_what_the_engine_cannot_do_is_told(
    tmp_path: Path, folders: list[str], edits: dict[str, Any], words: str
) -> None:
    write(tmp_path / "etc", "v.json", "vendor.com/card", {}, a=edits)
    with pytest.raises(CdiError, match=words):
        cdi_edits(["vendor.com/card=a"], folders)


def test_a_device_that_nobody_describes_is_told(folders: list[str]) -> None:
    with pytest.raises(CdiError, match=r"unresolvable CDI devices vendor\.com/card=a, vendor\.com/card=b"):
        cdi_edits(["vendor.com/card=a", "vendor.com/card=b"], folders)
