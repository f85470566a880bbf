"""A failing test leaves behind what its clusters looked like, and its report says where."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from mini_cluster import evidence
from mini_cluster.cluster.layout import Layout
from mini_cluster.pytest_plugin import EVIDENCE_KEPT, leave_evidence

SUITE = """
import pytest

class Machine:
    def collect_evidence(self, folder):
        (folder / "log").write_text("it smoked")

@pytest.fixture(scope="session")
def machine():
    return Machine()

def test_good(machine):
    pass

def test_bad(machine):
    assert False

@pytest.fixture
def broken(machine):
    raise RuntimeError

def test_setup(broken):
    pass
"""


def test_the_report_of_a_failure_names_a_folder_with_the_state_of_its_fixtures(tmp_path: Path) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    folders = re.findall(r"- state of machine -+\n(.+)\n", done.stdout)
    assert [Path(folder).name.rpartition("-")[0] for folder in folders] == ["test_setup", "test_bad"], done.stdout
    assert all((Path(folder) / "log").read_text() == "it smoked" for folder in folders)


def test_old_folders_make_way(tmp_path: Path) -> None:
    class Machine:
        def collect_evidence(self, folder: Path) -> None:
            (folder / "log").touch()

    folders = []
    for number in range(EVIDENCE_KEPT + 2):
        folders.append(leave_evidence(f"test[{number}]", Machine(), tmp_path))
        os.utime(folders[-1], (number, number))  # the file system's own clock may give several the same time
    assert [folder.exists() for folder in folders] == [False, False, *[True] * EVIDENCE_KEPT]


def test_a_cluster_that_never_came_up_leaves_the_end_of_its_logs(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "cluster")
    layout.logs.mkdir(parents=True)
    layout.log("etcd").write_text("x" * evidence.PIECE_BYTES + "the end")
    folder = tmp_path / "evidence"
    evidence.collect(layout, folder)
    log = (folder / "logs" / "etcd.log").read_text()
    assert (len(log), log[-7:]) == (evidence.PIECE_BYTES, "the end")
    assert "$ ip address\n" in (folder / "machine.txt").read_text()
