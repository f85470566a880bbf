"""Tables: one row an object, of many in pieces."""

from __future__ import annotations

import orjson
import pytest

from apimachinery.errors import BadRequest
from apimachinery.model import encode
from apiserver.codec import tables
from apiserver.codec.body import decode_object
from apiserver.http.negotiation import TABLE, Representation
from apiserver.storage.interface import Entry
from kubeapi.core.pod.resource import RESOURCE as PODS


def stored_pod(name: str) -> bytes:
    body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pod = decode_object(PODS, orjson.dumps(body))
    pod.metadata.resourceVersion = "7"
    pod.metadata.creationTimestamp = "2026-01-01T00:00:00Z"
    return encode(pod)


def test_a_table_of_one_object() -> None:
    table = orjson.loads(tables.transform_object(PODS, stored_pod("a"), Representation(TABLE, "v1"), "Metadata"))
    assert (table["kind"], table["apiVersion"], table["metadata"]) == (
        "Table",
        "meta.k8s.io/v1",
        {"resourceVersion": "7"},
    )
    assert len(table["columnDefinitions"]) == len(table["rows"][0]["cells"])
    assert set(table["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
    assert table["rows"][0]["object"]["metadata"]["name"] == "a"


async def test_a_table_of_many_comes_in_pieces() -> None:
    entries = [Entry("k", "n", f"p-{index}", index, stored_pod(f"p-{index}"), {}, {}) for index in range(250)]

    representation = Representation(TABLE, "v1")
    stream = tables.transform_list(PODS, entries, b'"resourceVersion":"9"', representation, "None")
    pieces = [piece async for piece in stream]
    assert len(pieces) == 5
    table = orjson.loads(b"".join(pieces))
    assert [row["cells"][0] for row in table["rows"]] == [f"p-{index}" for index in range(250)]
    assert table["metadata"] == {"resourceVersion": "9"}


def test_include_object_is_one_of_three() -> None:
    assert [tables.include_object(text) for text in ("", "Metadata", "None", "Object")] == [
        "Metadata", "Metadata", "None", "Object",
    ]  # fmt: skip
    with pytest.raises(BadRequest):
        tables.include_object("all")
