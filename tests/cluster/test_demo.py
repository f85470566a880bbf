"""`make demo` holds, on a cluster of its own, and beside the machine's own container engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mini_cluster.hosts.sweep import what_is_left
from mini_cluster.launcher import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PROJECT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
ON_A_MACHINE_WITH_DOCKER = """\
set -e
mkdir -p /run/containerd
mount -t tmpfs tmpfs /run/containerd
containerd --root "$1/machine" --state /run/containerd --log-level warn >"$1/containerd.log" 2>&1 &
machine=$!
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
failed=0
"$2/python" examples/guestbook/demo.py --dir "$1/cluster" || failed=1
if [ -e /run/containerd/io.containerd.runtime.v2.task/moby ]; then
    echo "the hosts' containers are in the machine's containerd"
    failed=1
fi
"$2/mini-cluster" --dir "$1/cluster" down --purge || failed=1
kill "$machine"
exit "$failed"
"""
"""Runs the demonstration where a containerd has the place of the machine's own: engines that start there use it."""


def test_every_step_of_the_demonstration_holds(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    demo = ["unshare", "--mount", "sh", "-c", ON_A_MACHINE_WITH_DOCKER, "sh", str(tmp_path), str(SCRIPTS)]
    try:
        done = subprocess.run(
            demo, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        assert "Every step held" in done.stdout
    finally:
        Cluster(folder).down(purge=True)
    assert what_is_left(Cluster(folder).layout) == []
