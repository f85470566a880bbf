"""Data folders of a restored etcd: each member takes its own at its next start, however often that is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mini_cluster.cluster.etcd_members import EtcdMember
from mini_cluster.cluster.layout import Layout
from mini_cluster.etcd.operator import EtcdOperator
from mini_cluster.etcd.restore import RestoreError, commit, install, prepare, raise_revision


def make_layout(tmp_path: Path) -> tuple[Layout, list[EtcdMember]]:
    layout = Layout(tmp_path, tmp_path / "run")
    members = [
        EtcdMember(name, name, "https://127.0.0.1:1", "https://127.0.0.1:2", tmp_path / name)
        for name in ("etcd-1", "etcd-2")
    ]
    return layout, members


def fill(folder: Path, content: str) -> None:
    folder.mkdir(parents=True)
    (folder / "data").write_text(content)


def test_nothing_happens_without_a_restore(tmp_path: Path) -> None:
    layout, members = make_layout(tmp_path)
    fill(members[0].data, "old")
    assert not install(layout, members[0])
    assert (members[0].data / "data").read_text() == "old"


def test_each_member_takes_its_folder_once_and_the_old_one_is_kept(tmp_path: Path) -> None:
    layout, members = make_layout(tmp_path)
    fill(members[0].data, "old")  # the other one's data is lost
    for member in members:
        fill(tmp_path / "prepared" / member.component, f"new {member.component}")
    commit(layout, tmp_path / "prepared")
    for member in members:
        assert install(layout, member)
        assert not install(layout, member)
        assert (member.data / "data").read_text() == f"new {member.component}"
    assert (tmp_path / "etcd-before-restore" / "etcd-1" / "data").read_text() == "old"
    assert not (tmp_path / "etcd-restore").exists()


def test_a_member_killed_between_the_two_moves_goes_on(tmp_path: Path) -> None:
    layout, members = make_layout(tmp_path)
    fill(tmp_path / "prepared" / "etcd-1", "new")
    commit(layout, tmp_path / "prepared")
    fill(tmp_path / "etcd-before-restore" / "etcd-1", "old")  # moved away, and the new one not yet in its place
    assert install(layout, members[0])
    assert (members[0].data / "data").read_text() == "new"
    assert (tmp_path / "etcd-before-restore" / "etcd-1" / "data").read_text() == "old"


def test_a_missing_file_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    layout, members = make_layout(tmp_path)
    with pytest.raises(RestoreError, match="no such file"):
        prepare(layout, members, tmp_path / "missing.db")
    assert list(tmp_path.iterdir()) == []


class Store(EtcdOperator):
    """A restored store, which notes up to where its revision is raised."""

    def __init__(self, revision: int) -> None:
        self.at = revision

    def revision(self) -> int:
        return self.at

    def advance(self, revision: int) -> int:
        self.at = revision
        return revision


@pytest.mark.parametrize(
    ("restored", "newest", "raised_to", "warned"),
    [(100, 0, 1_100, False), (100, 5_000, 6_000, False), (100, 5_000_000, 1_100, True)],
)
def test_a_restored_store_goes_on_above_what_clients_have_seen_or_says_that_it_does_not(
    tmp_path: Path, restored: int, newest: int, raised_to: int, warned: bool
) -> None:
    store = Store(restored)
    warnings: list[str] = []
    raise_revision(store, newest, warnings.append)
    assert store.at == raised_to
    assert ["restart those outside" in warning for warning in warnings] == [True] * warned
