"""A workload follows its load: real containers burn real CPU."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import container, deployment

pytestmark = pytest.mark.cluster

BURN_UNTIL_TOLD = "while [ ! -e /tmp/idle ]; do :; done; sleep 100000"
AT_ONCE = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 900, "periodSeconds": 15}]}


def autoscaler(name: str, most: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 50}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleUp": AT_ONCE, "scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }


@pytest.mark.slow
def test_a_deployment_that_burns_cpu_grows_and_one_that_idles_shrinks(mk: CommandLine) -> None:
    amounts = {"requests": {"cpu": "50m"}, "limits": {"cpu": "150m"}}
    mk.apply(deployment("burn", 1, container("sh", "-c", BURN_UNTIL_TOLD, resources=amounts)), autoscaler("burn", 3))

    def running() -> list[str]:
        return [
            item["metadata"]["name"]
            for item in mk.items("pods", "-l", "app=burn")
            if item["status"]["phase"] == "Running" and "deletionTimestamp" not in item["metadata"]
        ]

    eventually(lambda: len(running()) == 3, "three pods under load", seconds=120)
    for name in running():
        mk.run("exec", name, "--", "touch", "/tmp/idle")
    eventually(lambda: len(running()) == 1, "one pod without load", seconds=120)

    def used() -> int:
        (reading,) = mk.get("hpa", "burn")["status"]["currentMetrics"]
        return int(reading["resource"]["current"]["averageUtilization"])

    eventually(lambda: used() < 50, "a low use of CPU")

    def sizes() -> set[str]:
        events = [item for item in mk.items("events") if item["reason"] == "SuccessfulRescale"]
        return {item["message"].partition(";")[0] for item in events}

    eventually(lambda: sizes() == {"New size: 3", "New size: 1"}, "an event for each change")
