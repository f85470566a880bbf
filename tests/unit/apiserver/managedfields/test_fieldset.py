"""Sets of field paths behave as sets of paths do, and keep the spelling of fieldsV1."""

import copy
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.managedfields.fieldset import (
    MalformedSet,
    difference,
    intersection,
    normal,
    path_text,
    paths,
    recursive_difference,
    union,
)

PATHS = st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":1}', 'v:"x"', "i:0"]), min_size=1, max_size=4).map(tuple)
PATH_SETS = st.frozensets(PATHS, max_size=8)


def single(path):
    node = {}
    for element in reversed(path):
        node = {element: node}
    return node


def build(members):
    return reduce(union, map(single, sorted(members)), {})


@given(PATH_SETS, PATH_SETS)
def test_the_algebra_is_that_of_sets(a, b):
    left, right = build(a), build(b)
    before = copy.deepcopy((left, right))
    for result, expected in [
        (left, a),
        (union(left, right), a | b),
        (difference(left, right), a - b),
        (intersection(left, right), a & b),
        (recursive_difference(left, right), {p for p in a if not any(p[: len(q)] == q for q in b)}),
    ]:
        assert set(paths(result)) == expected
        assert result == build(expected), "one set has one form"
    assert (left, right) == before, "arguments must not change"


@given(PATH_SETS, PATH_SETS)
def test_what_changes_nothing_returns_its_argument(a, b):
    left = build(a)
    assert union(left, build(a & b)) is left
    assert difference(left, build(b - a)) is left
    assert recursive_difference(left, {}) is left
    assert normal(left) == left


def test_a_clients_spelling_is_made_ours():
    sent = {".": {}, "f:spec": {"f:ports": {'k:{"protocol": "TCP", "containerPort": 80}': {".": {}}}}, "f:a": {".": {}}}
    assert normal(sent) == {"f:spec": {"f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {}}}, "f:a": {}}


@pytest.mark.parametrize(
    "sent",
    [
        *([], {"a": {}}, {"f:a": 1}, {"k:x": {}}, {"k:[]": {}}, {"v:{": {}}),
        *({"i:x": {}}, {"i:--5": {}}, {"i:\u00b2": {}}, {"i:" + "9" * 30: {}}, single(["f:a"] * 300)),
    ],
)
def test_what_is_no_set_is_refused(sent):
    with pytest.raises(MalformedSet):
        normal(sent)


def test_paths_are_shown_as_users_write_them():
    path = ("f:spec", "f:containers", 'k:{"name":"a","port":1}', "f:args", 'v:"x"')
    assert path_text(path) == '.spec.containers[name="a",port=1].args[="x"]'
    assert path_text(("f:list", "i:0")) == ".list[0]"
