"""Pods of the API don't pass for static ones."""

from __future__ import annotations

from kubelet.container.limits import SOURCE_ANNOTATION, is_critical
from kubelet.source.api import from_api
from tests.kits.node.kubelet import make_pod


def test_a_forged_source_makes_no_pod_critical() -> None:
    forged = make_pod(annotations={SOURCE_ANNOTATION: "file", "mine": "stays"})
    assert is_critical(forged)
    corrected = from_api(forged)
    assert not is_critical(corrected)
    assert corrected.annotations == {SOURCE_ANNOTATION: "api", "mine": "stays"}
    assert forged.annotations[SOURCE_ANNOTATION] == "file"  # a cached object stays as it is


def test_others_are_left_alone() -> None:
    plain, told = make_pod(), make_pod(annotations={SOURCE_ANNOTATION: "api"})
    assert from_api(plain) is plain
    assert from_api(told) is told
