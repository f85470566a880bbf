"""Images that a node has already are not loaded again, and loading shows how far it is."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from componentbase.image_archive import ImageConfig, image_archive, layer
from mini_cluster import console
from mini_cluster.console import Console
from mini_cluster.hosts.loading import Image, Lack, archive_images, lack

WEB = Image("sha256:1", ("web:1.0",))


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ([], Lack(images=True)),
        ([Image("sha256:2", ("web:1.0",))], Lack(images=True)),
        ([WEB], Lack(images=False)),
        ([Image("sha256:1", ("other:1", "web:1.0"))], Lack(images=False)),
        ([Image("sha256:1", ())], Lack(images=False, tags=(("sha256:1", "web:1.0"),))),
    ],
)
def test_an_image_is_known_by_its_id_and_only_its_names_may_be_missing(present: list[Image], missing: Lack) -> None:
    assert lack([WEB], present) == missing
    assert bool(missing) is (present != [WEB] and missing != Lack(images=False))


def test_one_image_of_several_is_enough_and_an_unknown_archive_is_always_loaded() -> None:
    assert lack([WEB, Image("sha256:2", ())], [WEB]).images
    assert lack([], [WEB]).images


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_tells_what_is_in_it(tmp_path: Path, pack: type[bytes]) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(
        pack(image_archive(["docker.io/library/web:1.0", "b/c:2"], [layer({"/x": b"1"})], ImageConfig()))
    )
    (image,) = archive_images(archive)
    assert image.names == ("web:1.0", "b/c:2")
    assert image.id.startswith("sha256:")
    assert len(image.id) == 7 + 64


@pytest.mark.parametrize("content", [b"", b"no archive", image_archive([], [], ImageConfig())[:700]])
def test_what_is_not_such_an_archive_tells_nothing(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(content)
    assert archive_images(archive) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_goes_when_all_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    out = Terminal()
    shown = Console(out)
    for done in (0, 1, 50):
        shown.progress("worker-1: web:1.0", done, 100)
        now += 0.06
    assert out.getvalue().count("\r") == 2, "not drawn more often than it is worth"
    assert out.getvalue().endswith(f"worker-1: web:1.0 [{'=' * 15}{' ' * 15}]  50 %")
    shown.progress("worker-1: web:1.0", 100, 100)
    assert out.getvalue().endswith("\r\033[K")


def test_elsewhere_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    out = io.StringIO()
    shown = Console(out)
    for done in range(0, 100, 10):
        shown.progress("worker-1: web:1.0", done, 100)
        now += 1
    shown.progress("worker-1: web:1.0", 100, 100)
    assert out.getvalue().splitlines() == [f"  ..   worker-1: web:1.0 {percent} % of 100 bytes" for percent in (0, 50)]
    Console(out, quiet=True).progress("x", 1, 2)
    assert "x" not in out.getvalue()
