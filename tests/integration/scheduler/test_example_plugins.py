"""The plugins in examples/scheduler-plugins, in a scheduler that finds them as an installed package."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.schedulercluster import Cluster, cluster_in
from tests.kits.eventually import eventually
from tests.kits.process import Daemon, scheduler

EXAMPLE = Path(__file__).parents[3] / "examples" / "scheduler-plugins"


@pytest.fixture
def cluster(api: ApiServer, namespace: str) -> Iterator[Cluster]:
    with cluster_in(api, namespace) as made:
        yield made


@pytest.fixture
def running(api: ApiServer, tmp_path: Path) -> Iterator[Daemon]:
    """Runs by the example's configuration, except that a gang gives up after two seconds."""
    installed = tmp_path / "example-1.dist-info"
    installed.mkdir()
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
    entries = "".join(
        f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in points.items())
        for group, points in project["entry-points"].items()
    )
    (installed / "entry_points.txt").write_text(entries)
    config = tmp_path / "config.yaml"
    config.write_text((EXAMPLE / "kube-scheduler.yaml").read_text().replace("waitSeconds: 60", "waitSeconds: 2"))
    path = f"PYTHONPATH={tmp_path}:{EXAMPLE}"
    daemon = scheduler(api.url, tmp_path, "--leader-elect=false", f"--config={config}")
    daemon.command[:0] = ["env", path]
    with daemon:
        yield daemon


def member(cluster: Cluster, name: str) -> None:
    labels = {"gang.example.com/name": "g", "gang.example.com/size": "3"}
    cluster.pod(name, cpu="1", metadata={"labels": labels}, schedulerName="measured")


def test_a_gang_is_bound_as_a_whole_or_not_at_all(cluster: Cluster, running: Daemon) -> None:
    cluster.node("n1", cpu="2")
    for name in ("a", "b", "c"):
        member(cluster, name)
    eventually(lambda: "gang g is not complete" in why(cluster) or "rejected due to timeout" in why(cluster))
    assert not cluster.placed()
    cluster.node("n2", cpu="2")
    eventually(lambda: cluster.placed().total() == 3)
    assert set(cluster.placed()) == {"n1", "n2"}


def test_a_scheduler_killed_while_pods_wait_at_permit_forgets_none_of_them(cluster: Cluster, running: Daemon) -> None:
    """They wait in memory alone: to the next scheduler they are pods without a node."""
    cluster.node("n1", cpu="2")
    for name in ("a", "b", "c"):
        member(cluster, name)
    eventually(lambda: "Insufficient cpu" in why(cluster))  # the third, after the others got their nodes
    running.kill()
    assert not cluster.placed()
    cluster.node("n2", cpu="2")
    running.start()
    eventually(lambda: cluster.placed().total() == 3)


def why(cluster: Cluster) -> str:
    return " ".join(str(cluster.condition(name).get("message")) for name in ("a", "b", "c"))
