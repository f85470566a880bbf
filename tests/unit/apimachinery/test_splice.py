"""resourceVersion in encoded objects."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import encode
from apimachinery.splice import replace_revision, split_owners, with_owners, with_revision, without_revision

NASTY = st.text() | st.sampled_from(['"metadata":{', "\\", '{"metadata":{"name"', '"resourceVersion":"1"'])


@given(NASTY, st.dictionaries(NASTY, NASTY, max_size=3), st.integers(1, 2**63), st.integers(1, 2**63))
def test_it_is_put_in_taken_out_and_replaced(name: str, labels: dict[str, str], first: int, second: int) -> None:
    obj = Object(kind="Pod", apiVersion="v1", metadata=ObjectMeta(name=name, labels=labels))
    raw = encode(obj)
    value = with_revision(raw, first)
    expected = json.loads(raw)
    expected["metadata"]["resourceVersion"] = str(first)
    assert json.loads(value) == expected
    assert without_revision(value) == raw
    assert replace_revision(value, second) == with_revision(raw, second)


def test_it_is_the_first_member_of_metadata() -> None:
    assert with_revision(b'{"kind":"Pod","metadata":{"name":"a"}}', 7) == (
        b'{"kind":"Pod","metadata":{"resourceVersion":"7","name":"a"}}'
    )


def test_empty_metadata() -> None:
    raw = b'{"metadata":{}}'
    value = with_revision(raw, 7)
    assert value == b'{"metadata":{"resourceVersion":"7"}}'
    assert without_revision(value) == raw
    assert replace_revision(value, 8) == with_revision(raw, 8)


def test_what_has_no_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="not found"):
        with_revision(b'{"kind":"Pod"}', 7)
    with pytest.raises(ValueError, match="no resourceVersion"):
        without_revision(b'{"metadata":{"name":"a"}}')


OWNERS = b'[{"manager":"a]},\\"n","fieldsV1":{"f:x],":{},"f:]},\\"name\\"":{}}}]'


@pytest.mark.parametrize("revision", [0, 7])
def test_owners_are_the_first_of_metadata_and_come_out_again(revision):
    raw = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","uid":"u"},"spec":{}}'
    value = with_owners(raw, OWNERS)
    assert orjson.loads(value)["metadata"] == {"managedFields": orjson.loads(OWNERS), "name": "a", "uid": "u"}
    if revision:
        raw, value = with_revision(raw, revision), with_revision(value, revision)
    assert split_owners(value) == (raw, OWNERS)
    assert split_owners(raw) == (raw, b"")
    assert with_owners(raw, b"") == raw


def test_owners_elsewhere_are_left_where_they_are():
    for value in (
        b'{"metadata":{"name":"a","managedFields":[{"manager":"m"}]}}',
        b'{"metadata":{"name":"a"},"data":{"managedFields":[{"manager":"m"}],"name":"b"}}',
    ):
        assert split_owners(value) == (value, b"")
