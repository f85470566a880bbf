"""Where the pods of an object are."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl.changes.podtemplate import containers, pod_spec


@pytest.mark.parametrize(
    ("kind", "path"),
    [("Pod", ["spec"]), ("Deployment", ["spec", "template", "spec"]),
     ("CronJob", ["spec", "jobTemplate", "spec", "template", "spec"])],
)  # fmt: skip
def test_where_the_pods_of_a_kind_are(kind: str, path: list[str]) -> None:
    spec = {"initContainers": [{"name": "init"}], "containers": [{"name": "web"}, {"name": "side"}]}
    obj: dict[str, Any] = spec
    for field in reversed(path):
        obj = {field: obj}
    assert pod_spec({"kind": kind, **obj}) is spec
    assert [c["name"] for c in containers(spec, "*i*")] == ["init", "side"]
    assert pod_spec({"kind": "ConfigMap"}) is None
