"""Messages against protobuf's own runtime, both ways."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet.plugins.message import Message, MessageError, number
from tests.kits.plugins.proto import messages

pb = messages(
    "test",
    {
        "Leaf": "string name = 1; int64 size = 2",
        "Tree": "string name = 1; bool on = 2; int64 size = 3; int64* sizes = 4; string* names = 5; Leaf leaf = 6; "
        "Leaf* leaves = 7; map labels = 8; int32 far = 40",
        "Newer": "string name = 1; int64 extra = 90; Leaf more = 91; string* words = 92",
    },
)


class Leaf(Message):
    """A message inside others."""

    name: str = ""
    size: int = 0


class Tree(Message):
    """All types of fields."""

    name: str = ""
    on: bool = False
    size: int = 0
    sizes: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    far: int = number(40, default=0)


SIZES = st.integers(-(2**63), 2**63 - 1)
LEAVES = st.fixed_dictionaries({"name": st.text(), "size": SIZES})
TREES = st.fixed_dictionaries(
    {
        "name": st.text(),
        "on": st.booleans(),
        "size": SIZES,
        "sizes": st.lists(SIZES, max_size=3),
        "names": st.lists(st.text(), max_size=3),
        "leaf": st.none() | LEAVES,
        "leaves": st.lists(LEAVES, max_size=3),
        "labels": st.dictionaries(st.text(), st.text(), max_size=3),
        "far": st.integers(-(2**31), 2**31 - 1),
    }
)


def ours(values: dict[str, Any]) -> Tree:
    leaf, leaves = values["leaf"], tuple(Leaf(**item) for item in values["leaves"])
    lists = {"sizes": tuple(values["sizes"]), "names": tuple(values["names"]), "leaves": leaves}
    return Tree(**values | lists | {"leaf": Leaf(**leaf) if leaf is not None else None})


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_what_we_write_protobuf_reads_and_the_other_way_round(values: dict[str, Any]) -> None:
    theirs = pb.Tree(**{name: value for name, value in values.items() if value is not None})
    assert pb.Tree.FromString(bytes(ours(values))) == theirs
    assert Tree.parse(theirs.SerializeToString()) == ours(values)


def test_fields_of_a_newer_version_are_skipped() -> None:
    newer = pb.Newer(name="n", extra=5, more=pb.Leaf(name="x"), words=["a", "b"])
    assert Tree.parse(newer.SerializeToString()) == Tree(name="n")
    assert Tree.parse(b"\x0a\x01n\x9d\x06\x00\x00\x00\x00\x99\x06" + bytes(8)) == Tree(name="n")  # fixed32, fixed64


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    with suppress(MessageError):
        Tree.parse(data)


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x05ab", b"\x18", b"\x18" + b"\xff" * 11, b"\x0b", b"\x0a\x01\xff", b"\x08\x01"]
)
def test_what_is_cut_or_wrong_is_an_error(data: bytes) -> None:
    with pytest.raises(MessageError):
        Tree.parse(data)
