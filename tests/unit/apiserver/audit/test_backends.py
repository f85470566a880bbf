"""Events on their way out: encoding, the bounded queue, and rotated files."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from apiserver.audit.event import MAX_OBJECT_BYTES, TRUNCATED, RawEvent, encode
from apiserver.audit.logfile import LogBackend, LogOptions, RotatingFile
from apiserver.audit.queue import EventQueue, QueueLimits

EVENT = RawEvent({"kind": "Event"})
MEGABYTE = 1024 * 1024


def encoded(**members: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(encode(RawEvent({"kind": "Event"}, **members)))
    return event


def test_objects_are_told_as_json_whatever_they_were_sent_as() -> None:
    assert encoded(request_body=b'{"a":1}')["requestObject"] == {"a": 1}
    assert encoded(request_body=b"a: 1\n", content_type=b"application/yaml; x=y")["requestObject"] == {"a": 1}
    assert "requestObject" not in encoded(request_body=b"{")
    assert "requestObject" not in encoded(request_body=b"a: [", content_type=b"application/yaml")
    answer = gzip.compress(b'{"items":[]}')
    assert encoded(response_body=answer, response_gzip=True)["responseObject"] == {"items": []}


def test_managed_fields_are_left_out_of_objects_and_lists() -> None:
    obj = {"metadata": {"name": "a", "managedFields": [1]}}
    body = json.dumps({"metadata": {}, "items": [obj]}).encode()
    event = encoded(request_body=json.dumps(obj).encode(), response_body=body, omit_managed_fields=True)
    assert event["requestObject"] == {"metadata": {"name": "a"}}
    assert event["responseObject"]["items"] == [{"metadata": {"name": "a"}}]


def test_a_large_object_is_left_out_and_that_is_told() -> None:
    event = encoded(request_body=b'"%b"' % (b"a" * MAX_OBJECT_BYTES), response_body=b"{}")
    assert "requestObject" not in event
    assert event["responseObject"] == {}
    assert event["annotations"] == {TRUNCATED: "true"}


def test_a_status_is_told_as_the_status_of_the_answer() -> None:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": 404, "reason": "NotFound"}
    event = encoded(response_body=json.dumps(status).encode())
    assert event["responseStatus"] == {"metadata": {}, "code": 404, "reason": "NotFound"}


@pytest.mark.parametrize("limits", [QueueLimits(events=2), QueueLimits(bytes=2 * EVENT.size)])
def test_a_full_queue_loses_the_next_and_counts_it(limits: QueueLimits) -> None:
    queue = EventQueue(limits)
    for _ in range(3):
        queue.put(EVENT)
    assert queue.lost == 1
    assert len(queue.take(10, 0)) == 2
    queue.put(EVENT)
    assert queue.lost == 1


def test_a_batch_waits_until_it_is_full_or_the_queue_ends() -> None:
    queue = EventQueue(QueueLimits())
    batches: list[int] = []

    def take() -> None:
        while events := queue.take(2, 600):
            batches.append(len(events))

    taker = threading.Thread(target=take)
    taker.start()
    for _ in range(3):
        queue.put(EVENT)
    queue.close()
    taker.join()
    assert batches == [2, 1]


def test_a_full_file_is_kept_under_another_name_and_the_oldest_go(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    file = RotatingFile(LogOptions(str(path), max_backups=2, max_megabytes=1))
    for number in range(5):
        file.write(bytes([number]) * MEGABYTE)
    backups = sorted(tmp_path.glob("audit-*.log"))
    assert [backup.read_bytes()[0] for backup in backups] == [2, 3]
    assert path.read_bytes()[0] == 4
    assert path.stat().st_mode & 0o777 == 0o600


def test_old_files_go_by_their_age(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    old, foreign = tmp_path / "audit-2020-01-01T00-00-00.000000.log", tmp_path / "audit-notes.log"
    for file in (old, foreign):
        file.write_text("")
        os.utime(file, (0, 0))
    rotating = RotatingFile(LogOptions(str(path), max_age_days=1, max_megabytes=1))
    rotating.write(b"a" * MEGABYTE)
    rotating.write(b"a" * MEGABYTE)
    assert not old.exists()
    assert foreign.exists()


def test_a_started_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text("a\n")
    backend = LogBackend(LogOptions(str(path)))
    backend.queue.put(EVENT)
    backend.close(60)
    assert path.read_text() == 'a\n{"kind":"Event"}\n'


def test_what_cannot_be_written_is_lost_and_counted() -> None:
    backend = LogBackend(LogOptions("/dev/full", max_megabytes=0))
    backend.queue.put(EVENT)
    backend.close(60)
    assert backend.lost == 1
