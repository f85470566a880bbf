"""Every source of a volume has its words."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.fields.fieldtypes import fields_of
from kubeapi.core.persistentvolume.model import PersistentVolumeSource
from kubeapi.core.pod.volumes import Volume
from kubectl.describe.volumes import source_lines
from kubectl.describe.volumesources import PERSISTENT, SOURCES
from kubectl.describe.writer import TextWriter


def described(kind: str, source: dict[str, Any], *, persistent: bool = False) -> list[str]:
    writer = TextWriter()
    source_lines(writer, kind, source, persistent=persistent)
    return [" ".join(line.split()) for line in writer.text().splitlines()]


def test_every_source_is_described() -> None:
    assert set(SOURCES) == {*Volume.model_fields, *PersistentVolumeSource.model_fields} - {"name"}
    assert described("odd", {}) == ["<unknown>"]


@pytest.mark.parametrize("model", [Volume, PersistentVolumeSource])
def test_the_fields_that_are_described_exist(model: type[Volume] | type[PersistentVolumeSource]) -> None:
    for kind, field in fields_of(model).items():
        source = field.type.model
        table = {**SOURCES, **PERSISTENT} if model is PersistentVolumeSource else SOURCES
        if source is not None:
            paths = [text.rpartition("=")[2].partition(":")[0] for text in table[kind][1].split(", ") if text]
            assert {path.partition(".")[0] for path in paths} <= set(fields_of(source)), kind


def test_values_are_worded_as_kubectl_words_them() -> None:
    secret = {"secretRef": {"name": "s", "namespace": "n"}}
    flex = {"driver": "d", "options": {"b": "2", "a": "1"}, **secret}
    assert described("flexVolume", flex, persistent=True)[1:] == [
        "Driver: d",
        "FSType:",
        "SecretRef: &SecretReference{Name:s,Namespace:n,}",
        "ReadOnly: false",
        "Options: map[a:1 b:2]",
    ]
    assert "Monitors: [a b]" in described("cephfs", {"monitors": ["a", "b"]})
    assert "SecretRef: nil" in described("cephfs", {"monitors": ["a"]})
    assert "TargetWWNs: a, b" in described("fc", {"targetWWNs": ["a", "b"]})
    assert "SecretNamespace: n" in described("scaleIO", secret, persistent=True)
    assert "ReadOnly: true" in described("nfs", {"readOnly": True})
