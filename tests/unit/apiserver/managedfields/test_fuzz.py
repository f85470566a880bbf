"""Whatever JSON a client sends as a patch or an apply: it works, or says what is wrong with it."""

import contextlib

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from apimachinery.errors import BadRequest, Invalid
from apimachinery.patch.json import json_patch
from apimachinery.patch.merge import merge_patch
from apimachinery.patch.strategic import strategic_merge_patch
from apiserver.managedfields import manager
from apiserver.managedfields.manager import Writer
from apiserver.managedfields.shapes import shape_of
from apiserver.managedfields.typed import NotTyped, applied_set, merge
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.resource import RESOURCE

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~-$", max_size=3)
NAMES = st.sampled_from([
    "spec", "metadata", "containers", "ports", "containerPort", "name", "labels", "finalizers", "env", "$patch",
    "$retainKeys", "$setElementOrder/containers", "$setElementOrder/finalizers", "$deleteFromPrimitiveList/finalizers",
    "$deleteFromPrimitiveList/containers", "volumes", "resources", "limits", "0", "-",
])  # fmt: skip
VALUES = st.recursive(
    SCALARS | st.sampled_from(["replace", "delete", "merge"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
POINTERS = st.lists(NAMES | st.just(""), max_size=4).map(lambda parts: "".join(f"/{part}" for part in parts)) | SCALARS
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "jump", 5]),
            "path": POINTERS,
            "from": POINTERS,
            "value": VALUES,
        },
    )
    | SCALARS,
    max_size=4,
)
LIVE = {
    "metadata": {"name": "p", "labels": {"a": "b"}, "finalizers": ["a"]},
    "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}], "volumes": [{"name": "v"}]},
}


@settings(max_examples=80)
@given(VALUES | DOCUMENTS)
def test_strategic_and_plain_merge_patches(patch):
    before = orjson.dumps(LIVE)
    with contextlib.suppress(BadRequest, Invalid):
        strategic_merge_patch(LIVE, patch, Pod)
    merge_patch(LIVE, patch)
    assert orjson.dumps(LIVE) == before


@settings(max_examples=80)
@given(OPERATIONS | VALUES)
def test_random_json_patches_keep_the_owners_right(operations):
    before = orjson.dumps(LIVE)
    with contextlib.suppress(BadRequest, Invalid):
        json_patch(LIVE, operations)
    assert orjson.dumps(LIVE) == before


@settings(max_examples=80)
@given(DOCUMENTS, DOCUMENTS)
def test_random_applies_keep_the_owners_right(first, second):
    writer = Writer("a", "v1", "", "2026-01-01T00:00:00Z")
    entries, live = [], LIVE
    for config in (first, second, {}):
        with contextlib.suppress(NotTyped, manager.Conflict):
            applied = manager.apply(
                entries, live, config, RESOURCE, writer, lambda document: (document, document), force=True
            )
            entries = applied.entries
    with contextlib.suppress(NotTyped):
        applied_set(first, shape_of(Pod))
        merge(LIVE, first, shape_of(Pod))
