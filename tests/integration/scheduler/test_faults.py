"""A scheduler that is killed, doubled, or cut off loses no pod and places none twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.schedulercluster import Cluster, cluster_in
from tests.kits.eventually import eventually
from tests.kits.process import scheduler


@pytest.fixture
def cluster(api: ApiServer, namespace: str) -> Iterator[Cluster]:
    with cluster_in(api, namespace) as made:
        yield made


def test_a_killed_scheduler_leaves_nothing_half_done(api: ApiServer, cluster: Cluster, tmp_path: Path) -> None:
    for name in ("n1", "n2", "n3"):
        cluster.node(name, cpu="4")
    with scheduler(api.url, tmp_path, "--leader-elect=false") as process:
        for number in range(120):
            cluster.pod(f"web-{number}", cpu="100m")
            if number % 30 == 29:
                eventually(lambda: cluster.placed().total() > 0)
                process.kill()
                process.start()
        eventually(lambda: cluster.placed().total() == 120)
        assert cluster.placed() == {"n1": 40, "n2": 40, "n3": 40}


def test_a_second_scheduler_takes_over_from_one_that_died(api: ApiServer, cluster: Cluster, tmp_path: Path) -> None:
    cluster.node("n1")
    with scheduler(api.url, tmp_path / "1") as first:
        eventually(lambda: first.leads)
        with scheduler(api.url, tmp_path / "2") as second:
            cluster.pod("one")
            assert cluster.where("one") == "n1"
            assert not second.leads
            first.kill()
            cluster.pod("two")
            assert cluster.where("two") == "n1"
            assert second.leads


def test_it_carries_on_after_the_api_server_was_away(api: ApiServer, cluster: Cluster, tmp_path: Path) -> None:
    cluster.node("n1")
    with scheduler(api.url, tmp_path, "--leader-elect=false") as process:
        cluster.pod("before")
        cluster.where("before")
        api.kill()
        api.start()
        cluster.pod("after")
        assert cluster.where("after") == "n1"
        assert process.running
