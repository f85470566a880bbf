"""Daemons are held to what is reserved for them, in groups that exist already; one that doesn't ends the kubelet."""

from __future__ import annotations

from pathlib import Path

import pytest

from componentbase.daemon import FatalError
from kubelet.cgroups.files import group_files
from kubelet.cgroups.reserved import enforce_reserved
from kubelet.options import parse_options

FLAGS = ("--system-reserved=cpu=500m,memory=1Gi,pid=1000", "--kube-reserved=cpu=250m,memory=512Mi")
GROUPS = ("--system-reserved-cgroup=/system.slice", "--kube-reserved-cgroup=/kube")
V1 = {
    "cpu/system.slice/cpu.shares": "512",
    "memory/system.slice/memory.limit_in_bytes": str(1 << 30),
    "pids/system.slice/pids.max": "1000",
    "cpu/kube/cpu.shares": "256",
}
V2 = {
    "system.slice/cpu.weight": "20",
    "system.slice/memory.max": str(1 << 30),
    "system.slice/pids.max": "1000",
    "kube/cpu.weight": "10",
}


def enforce(root: Path, what: str) -> list[str]:
    options = parse_options(["--node-ip=10.0.0.2", *FLAGS, *GROUPS, f"--enforce-node-allocatable={what}"])
    told: list[str] = []
    enforce_reserved(
        options.resources.reserved_groups, lambda *event: told.append(" ".join(event)), group_files(str(root))
    )
    return told


def written(root: Path) -> dict[str, str]:
    files = {path.relative_to(root): path.read_text() for path in root.rglob("*.*") if path.is_file()}
    return {str(name): text for name, text in files.items() if text}


@pytest.mark.parametrize("version", [1, 2])
def test_the_limits_are_those_reserved_and_the_rest_stays(tmp_path: Path, version: int) -> None:
    for group in ("system.slice", "kube"):
        for controller in ("cpu", "memory", "pids") if version == 1 else (".",):
            (tmp_path / controller / group).mkdir(parents=True)
    if version == 2:
        (tmp_path / "cgroup.controllers").touch()
    told = enforce(tmp_path, "pods,system-reserved,kube-reserved-compressible")
    assert written(tmp_path) == (V1 if version == 1 else V2)
    assert told == [
        "Normal NodeAllocatableEnforced Updated limits on system reserved cgroup /system.slice",
        "Normal NodeAllocatableEnforced Updated limits on kube reserved cgroup /kube",
    ]


def test_a_group_that_is_missing_ends_the_kubelet(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    message = 'Failed to enforce Kube Reserved Cgroup Limits on "/kube": "/kube" cgroup does not exist'
    with pytest.raises(FatalError, match=message):
        enforce(tmp_path, "kube-reserved")
    assert written(tmp_path) == {}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ("--enforce-node-allocatable=system-reserved",),
            'systemReservedCgroup (--system-reserved-cgroup) must be specified when "system-reserved" contained in',
        ),
        (
            (GROUPS[1], "--enforce-node-allocatable=kube-reserved,kube-reserved-compressible"),
            'both "kube-reserved" and "kube-reserved-compressible" in enforceNodeAllocatable',
        ),
        (("--enforce-node-allocatable=none,pods",), "none excludes all others"),
        (("--enforce-node-allocatable=all",), "or none: 'all'"),
        (("--kube-reserved-cgroup=kube",), "--kube-reserved-cgroup: want the path of a control group"),
    ],
)
def test_flags_that_contradict_are_refused(
    flags: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--node-ip=10.0.0.2", *flags])
    assert words in capsys.readouterr().err
