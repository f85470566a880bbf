"""A container's log as its files show it, also while the engine renames them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from apimachinery.times import parse_time
from componentbase.host.inotify import FolderWatcher
from kubelet.runtime.docker.logfiles import READ_BYTES, LogReader
from kubelet.runtime.interface import LogOptions

FILES = 3  # kept by the engine of these tests


class EngineLog:
    """Writes as the engine does: a document a line, and at a rotation the files move up by one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "c1-json.log"
        self.path.touch()
        self.seconds = 0

    def write(self, *texts: str, stream: str = "stdout", fraction: str = "") -> None:
        with self.path.open("a") as file:
            for text in texts:
                self.seconds += 1
                time = f"2026-01-01T00:{self.seconds // 60:02}:{self.seconds % 60:02}{fraction}Z"
                file.write(json.dumps({"log": text, "stream": stream, "time": time}) + "\n")

    def rotate(self) -> None:
        self.rename()
        self.path.touch()

    def rename(self) -> None:
        """The first half of a rotation."""
        for number in range(FILES - 1, 0, -1):
            older = Path(f"{self.path}.{number - 1}") if number > 1 else self.path
            if older.exists():
                older.rename(f"{self.path}.{number}")


@pytest.fixture
def log(tmp_path: Path) -> EngineLog:
    return EngineLog(tmp_path)


@contextlib.contextmanager
def reading(log: EngineLog, **options: object) -> Iterator[LogReader]:
    with contextlib.closing(LogReader(log.path, LogOptions(**options))) as reader:  # type: ignore[arg-type]
        yield reader


def unread(reader: LogReader) -> str:
    """All that is there by now."""
    return b"".join(iter(reader.read, None)).decode()


def content(log: EngineLog, **options: object) -> str:
    with reading(log, **options) as reader:
        return unread(reader)


def test_all_files_are_read_from_the_oldest_on(log: EngineLog) -> None:
    for number in range(3):
        log.write(f"{number}a\n", f"{number}b\n")
        log.rotate()
    assert content(log) == "1a\n1b\n2a\n2b\n"  # the oldest has been removed


def test_one_stream_alone(log: EngineLog) -> None:
    log.write("out\n")
    log.write("err\n", stream="stderr")
    assert content(log, stream="stderr") == "err\n"
    assert content(log) == "out\nerr\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [(0, ""), (1, "5\n"), (2, "4\n5\n"), (4, "2\n3\n4\n5\n"), (5, "1\n2\n3\n4\n5\n"), (9, "1\n2\n3\n4\n5\n")],
)
def test_the_tail_may_begin_in_an_older_file(log: EngineLog, lines: int, expected: str) -> None:
    log.write("1\n", "2\n")
    log.rotate()
    log.write("3\n", "4\n")
    log.rotate()
    log.write("5\n")
    assert content(log, tail_lines=lines) == expected


def test_the_tail_of_a_file_larger_than_what_is_read_at_once(log: EngineLog) -> None:
    lines = [f"{number:05} {'x' * 100}\n" for number in range(READ_BYTES // 100)]
    log.write(*lines)
    for count in (1, len(lines) // 2, len(lines) - 1):
        assert content(log, tail_lines=count) == "".join(lines[-count:])


def test_a_long_line_that_the_engine_has_cut_counts_as_one(log: EngineLog) -> None:
    log.write("first\n", "x" * 50, "y" * 50, "z\n", "unfinished")
    assert content(log, tail_lines=1) == "unfinished"
    assert content(log, tail_lines=2) == "x" * 50 + "y" * 50 + "z\nunfinished"


def test_times_have_nine_digits_and_stand_at_the_beginning_of_lines(log: EngineLog) -> None:
    log.write("whole\n", "par", fraction=".25")
    log.write("tial\n")
    assert content(log, timestamps=True) == (
        "2026-01-01T00:00:01.250000000Z whole\n2026-01-01T00:00:02.250000000Z partial\n"
    )


@pytest.mark.parametrize(("second", "expected"), [(1, "1\n2\n3\n4\n5\n"), (2, "2\n3\n4\n5\n"), (4, "4\n5\n"), (6, "")])
def test_lines_since_a_moment(log: EngineLog, second: int, expected: str) -> None:
    log.write("1\n", "2\n")
    log.rotate()
    log.write("3\n", "4\n", "5\n")
    assert content(log, since=parse_time(f"2026-01-01T00:00:0{second}Z")) == expected


def test_a_reader_goes_on_across_rotations(log: EngineLog) -> None:
    with reading(log, follow=True) as reader:
        assert unread(reader) == ""
        log.write("1\n")
        assert unread(reader) == "1\n"
        log.write("2\n")
        log.rotate()  # before the reader has looked at what was written last
        log.write("3\n")
        assert unread(reader) == "2\n3\n"
        log.rotate()
        log.write("4\n")
        log.rotate()
        log.write("5\n")
        assert unread(reader) == "4\n5\n"


def test_a_reader_that_is_too_slow_misses_what_was_removed_and_repeats_nothing(log: EngineLog) -> None:
    with reading(log) as reader:
        for number in range(1, 6):
            log.write(f"{number}\n")
            log.rotate()
        assert unread(reader) == "1\n4\n5\n"


def test_between_the_two_halves_of_a_rotation_there_is_nothing_new(log: EngineLog) -> None:
    log.write("1\n")
    with reading(log) as reader:
        log.rename()
        assert unread(reader) == "1\n"
        log.path.touch()
        log.write("2\n")
        assert unread(reader) == "2\n"


def test_a_line_is_given_when_it_is_complete(log: EngineLog) -> None:
    log.write("1\n")
    with log.path.open("a") as file:
        file.write('{"log":"2\\n","str')
    with reading(log) as reader:
        assert unread(reader) == "1\n"
        with log.path.open("a") as file:
            file.write('eam":"stdout","time":"2026-01-01T00:00:00Z"}\n')
        assert unread(reader) == "2\n"
    assert content(log, tail_lines=1) == "2\n"


def test_damaged_lines_are_left_out(log: EngineLog) -> None:
    log.write("1\n")
    with log.path.open("ab") as file:
        file.write(b"\0\0\0\0\n")
    log.write("2\n")
    assert content(log) == "1\n2\n"
    assert content(log, tail_lines=2) == "1\n2\n"


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LogReader(tmp_path / "c1-json.log", LogOptions())


async def test_watchers_of_a_folder_are_woken_by_writes_and_renames(tmp_path: Path) -> None:
    log, watcher = EngineLog(tmp_path), FolderWatcher()
    with watcher.watching(tmp_path) as first:
        with watcher.watching(tmp_path) as second:
            log.write("1\n")
            async with asyncio.timeout(5):
                await first.wait()
                await second.wait()
        first.clear()
        log.rename()
        async with asyncio.timeout(5):
            await first.wait()
    watcher.close()
