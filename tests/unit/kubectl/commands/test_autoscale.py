"""`autoscale`: what its flags make of a workload."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from kubectl.commands.deploy.autoscale import autoscaler_for
from kubectl.invocation.command import UsageError

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}


def made(**flags: Any) -> dict[str, Any]:
    given = {"name": "", "min": -1, "max": 3, "cpu": "", "memory": "", "cpu_percent": -1} | flags
    return autoscaler_for(DEPLOYMENT, argparse.Namespace(**given))


def targets(**flags: Any) -> list[tuple[str, dict[str, Any]]]:
    metrics = made(**flags)["spec"].get("metrics", [])
    return [(metric["resource"]["name"], metric["resource"]["target"]) for metric in metrics]


def test_what_no_flag_says_is_left_to_the_server() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    assert made()["spec"] == {"scaleTargetRef": target, "maxReplicas": 3}
    assert made(min=2, name="x")["spec"]["minReplicas"] == 2
    assert made(name="x")["metadata"] == {"name": "x"}


def test_a_target_is_a_percentage_or_an_amount() -> None:
    half = {"type": "Utilization", "averageUtilization": 50}
    assert targets(cpu_percent=50) == targets(cpu="50%") == [("cpu", half)]
    amounts = targets(cpu="0.5", memory="1024Mi")
    assert [(name, target["averageValue"]) for name, target in amounts] == [("cpu", "500m"), ("memory", "1Gi")]


@pytest.mark.parametrize("text", ["0%", "-1%", "x%", "%", "much"])
def test_other_targets_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid value for --memory"):
        made(memory=text)
