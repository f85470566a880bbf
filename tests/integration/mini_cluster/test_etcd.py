"""The store of a cluster of processes: members that are killed, snapshots, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from mini_cluster.api import AdminApi
from mini_cluster.cluster.state import load_state
from mini_cluster.errors import ApiError, ClusterError
from mini_cluster.etcd.operator import EtcdOperationError
from mini_cluster.etcd.restore import REVISION_MARGIN, RestoreError
from mini_cluster.launcher import Cluster
from mini_cluster.pki.encryption import keys_of_snapshot
from tests.kits.eventually import eventually

Json = dict[str, Any]

LAUNCHER = Path(sys.executable).parent / "mini-cluster"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
WRITERS = 4


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose etcd has three members."""
    cluster = Cluster(tmp_path_factory.mktemp("three"), owner_pid=os.getpid())
    try:
        cluster.up(0, api_port=None, etcd_members=3)
        yield cluster
    finally:
        cluster.down(purge=True)


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose etcd has one member."""
    cluster = Cluster(tmp_path / "single", owner_pid=os.getpid())
    try:
        cluster.up(0, api_port=None)
        yield cluster
    finally:
        cluster.down(purge=True)


def api_of(cluster: Cluster) -> closing[AdminApi]:
    return closing(AdminApi.local(cluster.layout, cluster.state().ports.api))


def launcher(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(LAUNCHER), *arguments, "--dir", str(cluster.layout.root)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def config_maps(cluster: Cluster) -> dict[str, Json]:
    with api_of(cluster) as api:
        return {item["metadata"]["name"]: item for item in api.request("GET", CONFIG_MAPS)["items"]}


class Writers:
    """Create ConfigMaps as fast as they can; `acknowledged` has the uid of each that the API server answered for."""

    def __init__(self, cluster: Cluster) -> None:
        self.acknowledged: dict[str, str] = {}
        self._cluster = cluster
        self._stop = Event()
        self._pool = ThreadPoolExecutor(WRITERS)

    def __enter__(self) -> Writers:
        self._work = [self._pool.submit(self._write, number) for number in range(WRITERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for work in self._work:
            work.result(60)
        self._pool.shutdown()

    def _write(self, number: int) -> None:
        count = 0
        with api_of(self._cluster) as api:
            while not self._stop.is_set():
                count += 1
                name = f"writer-{number}-{count}"
                try:
                    created = api.request("POST", CONFIG_MAPS, config_map(name, value=str(count)))
                except ApiError:  # it may have been written or not: nothing was promised
                    continue
                self.acknowledged[name] = created["metadata"]["uid"]

    def wait_for_more(self, count: int = 50) -> None:
        """Returns when so many more writes have been acknowledged."""
        goal = len(self.acknowledged) + count
        eventually(lambda: len(self.acknowledged) >= goal, "more acknowledged writes")


def test_members_are_killed_and_no_acknowledged_write_is_lost(three: Cluster) -> None:
    with Writers(three) as writers:
        writers.wait_for_more()
        for role in ("follower", "leader", "leader"):
            leader = three.etcd().status()[0]["leader"]
            victim = leader if role == "leader" else next(name for name in members(three) if name != leader)
            three.kill(victim)
            writers.wait_for_more()
            eventually(lambda: three.view().healthy, "all members are back")
            writers.wait_for_more()
    objects = config_maps(three)
    lost = {name for name, uid in writers.acknowledged.items() if objects.get(name, {})["metadata"]["uid"] != uid}
    assert not lost
    assert len(writers.acknowledged) >= 350


def members(cluster: Cluster) -> list[str]:
    return [status["name"] for status in cluster.etcd().status()]


def test_another_up_keeps_the_members_and_another_number_is_refused(three: Cluster) -> None:
    def pids() -> dict[str, int]:
        """The store alone: who lost a Lease while the members were killed may be starting again."""
        return {status.name: status.pid for status in three.view().components if status.name.startswith("etcd-")}

    before = pids()
    three.up()
    assert pids() == before
    with pytest.raises(ClusterError, match=r"has 3 member\(s\).*\n.*\n.*snapshot save"):
        three.up(etcd_members=1)
    assert load_state(three.layout.state) == three.state()
    assert members(three) == ["etcd-1", "etcd-2", "etcd-3"]


def test_peers_and_clients_need_certificates(three: Cluster) -> None:
    for ports in three.state().ports.etcd:
        for port in (ports.client, ports.peer):
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile"]
            command += [str(three.layout.certificate("etcd/ca")), "-verify_return_error", "-quiet"]
            request = "GET /health HTTP/1.0\r\n\r\n"
            done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=20, check=False)
            assert "HTTP/1.0" not in done.stdout
            assert "alert" in done.stderr


def test_a_snapshot_brings_every_object_back_after_the_cluster_is_destroyed(single: Cluster, tmp_path: Path) -> None:
    with api_of(single) as api:
        for number in range(300):
            api.request("POST", CONFIG_MAPS, config_map(f"kept-{number}", value=f"content {number}"))
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        secret = {"metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}}
        api.request("POST", "/api/v1/namespaces/default/secrets", secret)
    made_by_controllers = {"configmaps/other/kube-root-ca.crt", "serviceaccounts/other/default"}
    eventually(lambda: made_by_controllers <= all_objects(single).keys(), "the controllers have filled the namespace")
    before = all_objects(single)
    file = tmp_path / "backup.db"
    saved = launcher(single, "etcd", "snapshot", "save", str(file))
    assert saved.returncode == 0, saved.stderr
    assert "at revision" in saved.stderr
    for written in (file, keys_of_snapshot(file), single.layout.encryption_config):
        assert written.stat().st_mode & 0o077 == 0
    assert b"content 299" in file.read_bytes()
    assert b"aHVudGVyMg==" not in file.read_bytes()

    single.down(purge=True)
    assert not single.layout.root.exists()
    single.up(0, api_port=None, etcd_members=3)
    with api_of(single) as api:
        api.request("POST", CONFIG_MAPS, config_map("of-the-new-cluster"))
    restored = launcher(single, "etcd", "snapshot", "restore", str(file))
    assert restored.returncode == 0, restored.stderr

    after = all_objects(single)
    assert "of-the-new-cluster" not in str(after)
    assert after == before
    assert single.view().healthy
    assert not (single.layout.root / "etcd-restore").exists()
    assert (single.layout.root / "etcd-before-restore").is_dir()


def all_objects(cluster: Cluster) -> dict[str, Json]:
    """Every object that only its user or a controller's first act writes: by path, uid and content."""
    objects = {}
    with api_of(cluster) as api:
        for kind in ("configmaps", "namespaces", "secrets", "serviceaccounts", "services"):
            for item in api.request("GET", f"/api/v1/{kind}")["items"]:
                meta = item["metadata"]
                if kind == "configmaps" and meta["name"] in ("kube-root-ca.crt", "extension-apiserver-authentication"):
                    item["data"] = {}  # a new cluster has a new authority
                    del meta["resourceVersion"], meta["managedFields"]
                objects[f"{kind}/{meta.get('namespace', '')}/{meta['name']}"] = item
    return objects


@pytest.mark.slow
def test_data_that_is_lost_or_damaged_is_restored_and_clients_are_told_to_list_again(
    single: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "backup.db"
    with api_of(single) as api:
        uid = api.request("POST", CONFIG_MAPS, config_map("kept"))["metadata"]["uid"]
        single.etcd().save_snapshot(file)
        newest = max(
            int(api.request("POST", CONFIG_MAPS, config_map(f"lost-{number}"))["metadata"]["resourceVersion"])
            for number in range(50)
        )
    single.kill("supervisor")  # the next one has to find what runs by itself
    single.restore_snapshot(file)
    names = config_maps(single)
    assert names["kept"]["metadata"]["uid"] == uid
    assert not [name for name in names if name.startswith("lost-")]
    with api_of(single) as api:
        assert int(api.request("GET", CONFIG_MAPS)["metadata"]["resourceVersion"]) >= newest + REVISION_MARGIN
        event = api.request("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion={newest}&timeoutSeconds=1")
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "new"}})
    accounts = "/api/v1/namespaces/new/serviceaccounts"
    with api_of(single) as api:
        eventually(lambda: api.request("GET", accounts)["items"], "the controllers work on the restored objects")

    single.down()
    shutil.rmtree(single.layout.root / "etcd")
    single.restore_snapshot(file)
    assert config_maps(single)["kept"]["metadata"]["uid"] == uid


def test_a_damaged_snapshot_changes_nothing(single: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    single.etcd().save_snapshot(file)
    pids = {status.name: status.pid for status in single.view().components}
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    for damaged in (bytes(content), file.read_bytes()[:5000], b"nothing of the kind"):
        file.write_bytes(damaged)
        with pytest.raises(RestoreError, match=r"backup\.db is not a complete snapshot"):
            single.restore_snapshot(file)
    with pytest.raises(RestoreError, match="no such file"):
        single.restore_snapshot(tmp_path / "missing.db")
    assert {status.name: status.pid for status in single.view().components} == pids
    assert sorted(path.name for path in single.layout.root.iterdir() if "restore" in path.name) == []


def test_operations_are_shown_and_fail_clearly(three: Cluster, tmp_path: Path) -> None:
    shown = launcher(three, "etcd", "status")
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["MEMBER", *members(three)]
    assert shown.stdout.count("leader") == 1
    listed = json.loads(launcher(three, "etcd", "members", "-o", "json").stdout)
    assert {member["name"] for member in listed} == set(members(three))
    assert launcher(three, "etcd", "defrag").stderr.count(" -> ") == 3
    unwritable = launcher(three, "etcd", "snapshot", "save", str(tmp_path / "no" / "such" / "folder.db"))
    assert unwritable.returncode == 1
    assert f"cannot write {tmp_path}/no/such/folder.db: No such file or directory" in unwritable.stderr
    assert "Traceback" not in unwritable.stderr
    three.down()
    down = launcher(three, "etcd", "status")
    assert down.returncode == 1
    assert down.stdout.count("unreachable") == 3
    with pytest.raises(EtcdOperationError, match="no member of etcd answers"):
        three.etcd().members()
