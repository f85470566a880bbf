"""Patches as values: applied to one object after the other, they change neither it nor themselves."""

from __future__ import annotations

import copy

import orjson
import pytest

from apimachinery.errors import Invalid
from apimachinery.model import decode
from apiserver.registry.patch import JSON_PATCH, MERGE_PATCH, Patch, read_patch
from kubeapi.core.configmap import RESOURCE, ConfigMap


def stored(**data: str) -> bytes:
    meta = {"name": "c", "namespace": "ns", "resourceVersion": "7"}
    return orjson.dumps({"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": data})


def patch(kind: bytes, document: object, validation: str = "Warn") -> Patch:
    return read_patch(kind, orjson.dumps(document), RESOURCE, "ns", "c", validation)


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (MERGE_PATCH, {"data": {"a": "2"}, "unheard": 1}),
        (
            JSON_PATCH,
            [{"op": "replace", "path": "/data/a", "value": "2"}, {"op": "add", "path": "/unheard", "value": 1}],
        ),
    ],
)
def test_a_patch_may_be_applied_again(kind: bytes, document: object) -> None:
    value = patch(kind, document)
    before = copy.deepcopy(value.document)
    for other in ("x", "y"):
        old_bytes = stored(a="1", b=other)
        old = decode(ConfigMap, old_bytes)
        obj, warnings, _ = value.apply(old, old_bytes)
        assert (obj.data, warnings) == ({"a": "2", "b": other}, ('unknown field "unheard"',))
        assert old == decode(ConfigMap, old_bytes)
    assert value.document == before


def test_a_strict_patch_tells_every_warning_as_an_error() -> None:
    with pytest.raises(Invalid, match="unheard"):
        patch(MERGE_PATCH, {"unheard": 1}, "Strict").apply(decode(ConfigMap, stored()), stored())
