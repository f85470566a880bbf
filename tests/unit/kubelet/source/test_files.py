"""The folder of static pods: which files count, and what happens to their pods."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubelet.source.files import MAX_BYTES, ManifestFiles


def manifest(name: str, image: str = "app:1") -> str:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: app, image: 'IMAGE'}]}\n"
    return text.replace("NAME", name).replace("IMAGE", image)


def opened(path: Path) -> ManifestFiles:
    return ManifestFiles(str(path), "n", lambda: "now")


def names(files: ManifestFiles) -> list[str]:
    return [pod.name for pod in files.pods().values()]


def test_every_visible_file_is_a_pod(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(manifest("b"))
    (tmp_path / "a.json").write_text(
        '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":'
        '{"containers":[{"name":"app","image":"app:1"}]}}'
    )
    (tmp_path / ".hidden.yaml").write_text(manifest("hidden"))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling")
    files = opened(tmp_path)
    assert files.scan() == []
    assert names(files) == ["a-n", "b-n"]


def test_a_single_file_will_do(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(manifest("web"))
    files = opened(tmp_path / "web.yaml")
    files.scan()
    assert names(files) == ["web-n"]


def test_a_changed_file_is_another_pod_and_a_removed_one_is_none(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(manifest("web"))
    files = opened(tmp_path)
    files.scan()
    (before,) = files.pods()
    files.scan()
    assert list(files.pods()) == [before]
    file.write_text(manifest("web", "app:22"))
    files.scan()
    (after,) = files.pods()
    assert after != before
    file.unlink()
    files.scan()
    assert files.pods() == {}


def test_a_file_that_becomes_wrong_keeps_its_pod_and_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(manifest("web"))
    files = opened(tmp_path)
    files.scan()
    file.write_text("kind: nothing")
    (problem,) = files.scan()
    assert problem.startswith(f"Could not process manifest file {file}: invalid pod")
    assert files.scan() == []
    assert names(files) == ["web-n"]
    file.write_text(manifest("web", "app:3"))
    assert files.scan() == []


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "huge.yaml", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    (problem,) = opened(tmp_path).scan()
    assert "file too big" in problem


def test_of_two_pods_with_one_name_the_first_file_wins(tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text(manifest("web", "one:1"))
    (tmp_path / "2.yaml").write_text(manifest("web", "two:2"))
    files = opened(tmp_path)
    files.scan()
    (pod,) = files.pods().values()
    assert pod.spec.containers[0].image == "one:1"


def test_a_folder_that_is_gone_for_a_moment_ends_no_pod(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "web.yaml").write_text(manifest("web"))
    files = opened(folder)
    files.scan()
    folder.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        files.scan()
    assert names(files) == ["web-n"]
