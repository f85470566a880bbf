import copy
from typing import Annotated

import orjson
import pytest

from apimachinery.errors import BadRequest, Invalid
from apimachinery.model import MergeKey, Model, RetainKeys
from apimachinery.patch.json import json_patch
from apimachinery.patch.merge import create_merge_patch, merge_patch, three_way_merge
from apimachinery.patch.strategic import strategic_merge_patch, three_way_strategic


class Port(Model):
    containerPort: int = 0
    name: str | None = None


class Box(Model):
    name: str = ""
    image: str | None = None
    args: list[str] | None = None
    ports: Annotated[list[Port], MergeKey("containerPort")] | None = None


class Strategy(Model):
    type: str | None = None
    rolling: dict[str, int] | None = None


class Spec(Model):
    boxes: Annotated[list[Box] | None, MergeKey("name")] = None
    finalizers: Annotated[list[str], MergeKey("")] | None = None
    labels: dict[str, str] | None = None
    strategy: Annotated[Strategy, RetainKeys()] | None = None


def strategic(doc, patch):
    before = copy.deepcopy((doc, patch))
    result = strategic_merge_patch(doc, patch, Spec)
    assert (doc, patch) == before, "arguments must not change"
    return result


def test_lists_with_a_merge_key_merge_by_it_and_others_are_replaced():
    doc = {"boxes": [{"name": "a", "image": "1", "args": ["x"], "ports": [{"containerPort": 80}]}, {"name": "b"}]}
    patch = {"boxes": [{"name": "a", "args": ["y"], "ports": [{"containerPort": 81}]}, {"name": "c"}]}
    assert strategic(doc, patch) == {
        "boxes": [
            {"name": "a", "image": "1", "args": ["y"], "ports": [{"containerPort": 81}, {"containerPort": 80}]},
            {"name": "c"},
            {"name": "b"},
        ]
    }


def test_directives_of_a_strategic_merge_patch():
    doc = {"boxes": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "finalizers": ["x", "y"], "labels": {"k": "v"}}
    assert strategic(doc, {"boxes": [{"name": "b", "$patch": "delete"}]})["boxes"] == [{"name": "a"}, {"name": "c"}]
    assert strategic(doc, {"boxes": [{"$patch": "replace"}, {"name": "z"}]})["boxes"] == [{"name": "z"}]
    assert strategic(doc, {"labels": {"$patch": "replace", "n": "1"}})["labels"] == {"n": "1"}
    assert strategic(doc, {"finalizers": ["z", "x"]})["finalizers"] == ["z", "x", "y"]
    assert strategic(doc, {"$deleteFromPrimitiveList/finalizers": ["x"]})["finalizers"] == ["y"]
    order = {"$setElementOrder/boxes": [{"name": "c"}, {"name": "a"}, {"name": "b"}]}
    assert [box["name"] for box in strategic(doc, order)["boxes"]] == ["c", "a", "b"]
    assert "labels" not in strategic(doc, {"labels": None})
    retained = strategic(
        {"strategy": {"type": "a", "rolling": {"x": 1}}}, {"strategy": {"$retainKeys": ["type"], "type": "b"}}
    )
    assert retained == {"strategy": {"type": "b"}}


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        ({"boxes": [{"name": "z"}, {"name": "y"}]}, "z y a b c"),
        ({"boxes": [{"name": "b"}]}, "a b c"),
        ({"boxes": [{"name": "c"}, {"name": "a"}]}, "b c a"),
        ({"boxes": [{"name": "z"}, {"name": "b"}]}, "z a b c"),
        ({"boxes": [{"name": "b"}, {"name": "z"}]}, "a b z c"),
        ({"boxes": [{"name": "a", "$patch": "delete"}, {"name": "z"}]}, "z b c"),
        ({"$setElementOrder/boxes": [{"name": "c"}, {"name": "a"}]}, "b c a"),
        ({"$setElementOrder/boxes": [{"name": "b"}]}, "a b c"),
        ({"$setElementOrder/boxes": [{"name": "a"}, {"name": "ghost"}, {"name": "c"}]}, "a b c"),
        (
            {"$setElementOrder/boxes": [{"name": "a"}, {"name": "z"}, {"name": "b"}], "boxes": [{"name": "z"}]},
            "a z b c",
        ),
        ({"$setElementOrder/boxes": [{"name": "z"}, {"name": "a"}], "boxes": [{"name": "z"}]}, "z a b c"),
        ({"$setElementOrder/boxes": [], "boxes": [{"name": "z"}]}, "z a b c"),
        ({"boxes": [{"name": "c"}, {"$patch": "replace"}, {"name": "z"}]}, "c z"),
    ],
)
def test_items_stand_in_the_order_of_the_patch_and_new_ones_come_first(patch, names):
    """As upstream: others stand ahead of an item of the patch only if they did so before."""
    doc = {"boxes": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}
    assert [box["name"] for box in strategic(doc, patch)["boxes"]] == names.split()


def test_an_order_must_name_all_items_of_the_patch():
    doc = {"boxes": [{"name": "a"}], "finalizers": ["x"]}
    order = {"$setElementOrder/boxes": [{"name": "a"}, {"name": "b"}]}
    for patch in (
        order | {"boxes": [{"name": "z"}]},
        order | {"boxes": [{"name": "b"}, {"name": "a"}]},
        {"$setElementOrder/finalizers": ["x"], "finalizers": ["y"]},
    ):
        with pytest.raises(BadRequest, match="doesn't match"):
            strategic(doc, patch)
    assert strategic(doc, order | {"boxes": [{"name": "b"}, {"name": "c", "$patch": "delete"}]})["boxes"][1:]


def test_fields_that_exclude_each_other_merge_unless_the_patch_says_what_stays():
    doc = {"strategy": {"type": "a", "rolling": {"x": 1}}}
    assert strategic(doc, {"strategy": {"type": "b"}}) == {"strategy": {"type": "b", "rolling": {"x": 1}}}
    patch, result = apply(doc, {"strategy": {"type": "b"}}, doc)
    assert patch["strategy"]["$retainKeys"] == ["type"]
    assert result == {"strategy": {"type": "b"}}


def test_bad_strategic_patches_are_refused():
    bad = [[], {"boxes": [{"image": "x"}]}, {"boxes": [5]}, {"$patch": "explode"}, {"$patch": {}}, {"$retainKeys": 1}]
    bad += [
        {"strategy": {"$retainKeys": ["type"], "rolling": {}}},
        {"$setElementOrder/boxes": {}},
        {"$deleteFromPrimitiveList/finalizers": "x"},
    ]
    for patch in bad:
        with pytest.raises(BadRequest):
            strategic_merge_patch({"boxes": [], "finalizers": ["x"]}, patch, Spec)


def test_a_bad_patch_of_any_depth_is_refused():
    deep = orjson.loads(b'{"a":' * 1000 + b"1" + b"}" * 1000)
    for patch in ({"$patch": "explode", "x": deep}, {"$patch": deep}, {"boxes": [deep]}, {"boxes": [[deep]]}):
        with pytest.raises(BadRequest):
            strategic_merge_patch({"boxes": []}, patch, Spec)


def test_what_strategic_patches_compare_need_not_be_text():
    doc = {
        "boxes": [{"name": {"a": 1}}, 5, {"image": "x"}, {"name": "b"}, {"name": "b"}],
        "finalizers": [{"a": 1}, "b"],
    }
    patch = {"boxes": [{"name": {"a": 1}, "image": "i"}, {"name": "b", "$patch": "delete"}], "finalizers": [{"a": 1}]}
    assert strategic(doc, patch) == {
        "boxes": [{"name": {"a": 1}, "image": "i"}, 5, {"image": "x"}, {"name": "b"}],
        "finalizers": [{"a": 1}, "b"],
    }
    assert strategic(doc, {"$deleteFromPrimitiveList/finalizers": [{"a": 1}]})["finalizers"] == ["b"]
    assert strategic(doc, {"$setElementOrder/finalizers": ["b", {"a": 1}]})["finalizers"] == ["b", {"a": 1}]
    assert strategic(doc, {"$retainKeys": [{}, "finalizers"]}) == {"finalizers": doc["finalizers"]}
    assert strategic(doc, {"boxes": [{"$patch": "replace"}, 7]})["boxes"] == [7]


def test_long_lists_merge_in_one_pass():
    boxes = [{"name": f"b{number}"} for number in range(10_000)]
    names = [box["name"] for box in boxes]
    patch = {"boxes": boxes, "finalizers": names, "$setElementOrder/boxes": boxes}
    assert strategic_merge_patch({"boxes": boxes, "finalizers": names}, patch, Spec)["finalizers"] == names


def apply(original, modified, current):
    patch = three_way_strategic(original, modified, current, Spec)
    return patch, strategic_merge_patch(current, patch, Spec)


def test_three_way_keeps_what_others_set_and_removes_what_the_applier_dropped():
    original = {
        "boxes": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}],
        "labels": {"mine": "1", "gone": "1"},
    }
    modified = {"boxes": [{"name": "a", "image": "2"}], "labels": {"mine": "1"}}
    current = {
        "boxes": [
            {"name": "a", "image": "1", "args": ["x"], "ports": [{"containerPort": 1}]},
            {"name": "b"},
            {"name": "s"},
        ],
        "labels": {"mine": "1", "gone": "1", "theirs": "1"},
    }
    _, result = apply(original, modified, current)
    assert result["labels"] == {"mine": "1", "theirs": "1"}
    boxes = {box["name"]: box for box in result["boxes"]}
    assert set(boxes) == {"a", "s"}
    assert boxes["a"] == {"name": "a", "image": "2", "ports": [{"containerPort": 1}]}


def test_three_way_of_the_same_is_empty():
    doc = {"boxes": [{"name": "a"}], "labels": {"k": "v"}, "finalizers": ["f"]}
    patch, _ = apply(doc, doc, doc)
    assert patch == {}


def test_three_way_adds_at_the_place_that_the_applier_wants():
    doc = {"boxes": [{"name": "a"}], "finalizers": ["x"]}
    modified = {"boxes": [{"name": "a"}, {"name": "b"}], "finalizers": ["x", "y"]}
    assert apply(doc, modified, doc)[1] == modified


def test_three_way_merge_without_a_model():
    patch = three_way_merge(
        {"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"x": 3}}, {"a": {"x": 1, "y": 2, "z": 5}, "b": 1, "c": 1}
    )
    assert patch == {"a": {"x": 3, "y": None}, "b": None}


def test_merge_patch_follows_the_rfc():
    doc = {"a": {"b": 1, "c": 2}, "l": [1, 2]}
    assert merge_patch(doc, {"a": {"b": None, "d": 3}, "l": [9]}) == {"a": {"c": 2, "d": 3}, "l": [9]}
    assert doc == {"a": {"b": 1, "c": 2}, "l": [1, 2]}
    assert merge_patch({"a": [1]}, {"a": {"b": None, "c": 1}}) == {"a": {"c": 1}}
    assert merge_patch({}, [1]) == [1]
    old, new = {"a": {"b": 1, "c": 2}, "k": 1}, {"a": {"b": 5}, "n": 1}
    assert merge_patch(old, create_merge_patch(old, new)) == new


def test_json_patch_operations():
    doc = {"a": {"b": [1, 2, 3]}, "k/x": 1}
    operations = [
        {"op": "test", "path": "/a/b/1", "value": 2},
        {"op": "add", "path": "/a/b/-", "value": 4},
        {"op": "add", "path": "/a/b/0", "value": 0},
        {"op": "remove", "path": "/a/b/1"},
        {"op": "replace", "path": "/k~1x", "value": 2},
        {"op": "copy", "from": "/a/b", "path": "/c"},
        {"op": "move", "from": "/k~1x", "path": "/d"},
    ]
    assert json_patch(doc, operations) == {"a": {"b": [0, 2, 3, 4]}, "c": [0, 2, 3, 4], "d": 2}
    assert doc == {"a": {"b": [1, 2, 3]}, "k/x": 1}


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "remove", "path": "/x"}, Invalid),
        ({"op": "add", "path": "/x/y", "value": 1}, Invalid),
        ({"op": "add", "path": "/l/9", "value": 1}, Invalid),
        ({"op": "add", "path": "/l/-3", "value": 1}, Invalid),
        ({"op": "remove", "path": "/l/-2"}, Invalid),
        ({"op": "remove", "path": "/l/--1"}, Invalid),
        ({"op": "replace", "path": "/l/-", "value": 1}, Invalid),
        ({"op": "test", "path": "/l", "value": 1}, Invalid),
        ({"op": "test", "path": "/l", "value": [True]}, Invalid),
        ({"op": "jump", "path": "/x"}, Invalid),
        ({"op": "add", "path": "x", "value": 1}, Invalid),
        ({"op": "move", "path": "/x"}, Invalid),
        ({"path": 5}, Invalid),
        ("text", BadRequest),
    ],
)
def test_json_patches_that_do_not_apply(operation, error):
    with pytest.raises(error):
        json_patch({"l": [1]}, [operation])


def test_replace_adds_what_is_missing_and_a_missing_value_is_null():
    operations = [
        {"op": "replace", "path": "/x", "value": 1},
        {"op": "add", "path": "/y"},
        {"op": "test", "path": "/z"},
    ]
    assert json_patch({}, operations) == {"x": 1, "y": None}


def test_an_index_below_zero_counts_from_the_end():
    operations = [
        {"op": "test", "path": "/l/-1", "value": 3},
        {"op": "replace", "path": "/l/-1", "value": 4},
        {"op": "remove", "path": "/l/-3"},
        {"op": "add", "path": "/l/-1", "value": 6},  # among the places that an item may take, the last is behind all
        {"op": "add", "path": "/l/-2", "value": 5},
    ]
    assert json_patch({"l": [1, 2, 3]}, operations) == {"l": [2, 4, 5, 6]}


def test_copies_cannot_fill_the_memory():
    doubling = [{"op": "copy", "from": "", "path": f"/x{number}"} for number in range(40)]
    with pytest.raises(Invalid):
        json_patch({"text": "x" * 100}, doubling)
    assert json_patch(
        {"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}, {"op": "remove", "path": "/a/b"}]
    ) == {
        "a": {},
        "c": {"b": 1},
    }
