"""`make demo` holds, on a cluster of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mini_cluster.hosts.sweep import what_is_left
from mini_cluster.launcher import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PROJECT = Path(__file__).parents[2]


def test_every_step_of_the_demonstration_holds(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    cluster = Cluster(folder)
    demo = [sys.executable, "examples/guestbook/demo.py", "--dir", str(folder)]
    try:
        done = subprocess.run(
            demo, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        assert "Every step held" in done.stdout
    finally:
        cluster.down(purge=True)
    assert what_is_left(cluster.layout) == []
