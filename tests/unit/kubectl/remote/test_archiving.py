"""Archives out of a container are somebody else's: nothing of them lands where it was not asked for."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from kubectl.remote.archiving import pack, unpack


def archive(*members: tuple[str, bytes | str | None]) -> io.BytesIO:
    """Files with content, folders (None), and links (text)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    out.seek(0)
    return out


class Said:
    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.links: list[str] = []

    def extract(self, stream: io.BytesIO, prefix: str, target: Path) -> int:
        return unpack(stream, prefix, target, self.warnings.append, lambda name, aim: self.links.append(name))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_tree_takes_the_place_of_the_target(tmp_path: Path) -> None:
    said = Said()
    stream = archive(("srv/site", None), ("srv/site/a", b"1"), ("srv/site/d", None), ("srv/site/d/b", b"2"))
    assert said.extract(stream, "/srv/site", tmp_path / "out") == 4
    assert files(tmp_path / "out") == {"a": b"1", "d/b": b"2"}
    assert said.warnings == []


def test_a_file_gets_the_targets_name_or_goes_into_its_folder(tmp_path: Path) -> None:
    Said().extract(archive(("etc/hosts", b"x")), "/etc/hosts", tmp_path / "mine")
    Said().extract(archive(("etc/hosts", b"y")), "/etc/hosts", tmp_path)
    assert files(tmp_path) == {"mine": b"x", "hosts": b"y"}


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"longer than before")
    Said().extract(archive(("f", b"new")), "f", tmp_path / "f")
    assert files(tmp_path) == {"f": b"new"}


def test_nothing_leaves_the_target(tmp_path: Path) -> None:
    said, target = Said(), tmp_path / "out"
    target.mkdir()
    stream = archive(("d/../../evil", b"x"), ("d/x/../../../evil", b"x"), ("/evil", b"x"), ("d/ok", b"1"))
    said.extract(stream, "d", target)
    assert files(tmp_path) == {"out/ok": b"1"}
    assert len(said.warnings) == 3


def test_of_everything_nothing_leaves_the_target_either(tmp_path: Path) -> None:
    said, target = Said(), tmp_path / "out"
    said.extract(archive(("../evil", b"x"), ("a/../../evil", b"x"), ("./ok", b"1")), ".", target)
    assert files(tmp_path) == {"out/ok": b"1"}
    assert len(said.warnings) == 2


def test_links_of_the_archive_are_not_made(tmp_path: Path) -> None:
    said, target = Said(), tmp_path / "out"
    said.extract(archive(("d/link", "/etc"), ("d/link/passwd", b"x"), ("d/f", "../up")), "d", target)
    assert said.links == ["d/link", "d/f"]
    assert files(tmp_path) == {"out/link/passwd": b"x"}  # a folder of that name, not /etc


def test_links_that_are_there_are_not_followed(tmp_path: Path) -> None:
    said, target, outside = Said(), tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"old")
    target.mkdir()
    (target / "way").symlink_to(outside)
    (target / "secret").symlink_to(outside / "secret")
    said.extract(archive(("d/way/f", b"x"), ("d/way/secret", b"x"), ("d/secret", b"x")), "d", target)
    assert files(outside) == {"secret": b"old"}
    assert len(said.warnings) == 3


def test_what_is_packed_can_be_unpacked(tmp_path: Path) -> None:
    source, stream = tmp_path / "in", io.BytesIO()
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "big").write_bytes(bytes(range(256)) * 1000)
    (source / "link").symlink_to("sub/big")
    said = Said()

    def send(data: bytes) -> None:
        stream.write(data)

    pack(source, "name", send, said.warnings.append)
    stream.seek(0)
    assert said.extract(stream, "name", tmp_path / "out") == 4
    assert files(tmp_path / "out") == {"sub/big": bytes(range(256)) * 1000}
    assert said.links == ["name/link"]
