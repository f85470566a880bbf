"""`kopf`: a user's operator reconciles ConfigMaps into Deployments, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import configmap

OPERATOR = Path(__file__).parent / "operators" / "sites.py"
STOP_SECONDS = 20


@pytest.fixture
def operator(cluster: ClusterHandle, namespace: str, image: str, tmp_path: Path) -> Iterator[Path]:
    """Its log, while it runs."""
    command = [
        sys.executable,
        "-m",
        "kopf",
        "run",
        "--standalone",
        "--verbose",
        f"--namespace={namespace}",
        str(OPERATOR),
    ]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PYTHONPATH": str(Path(__file__).parents[3])}
    log = tmp_path / "operator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield log
        finally:
            print(log.read_text())  # pytest shows it where the test failed
            process.terminate()
            assert process.wait(STOP_SECONDS) == 0, log.read_text()[-2000:]


def test_an_operator_reconciles_until_its_objects_are_gone(operator: Path, mk: CommandLine) -> None:
    site = configmap("shop", replicas="1")
    site["metadata"]["labels"] = {"site": "yes"}
    mk.apply(site)

    def ready(count: int) -> bool:
        return any(
            found["metadata"]["name"] == "shop" and found.get("status", {}).get("readyReplicas") == count
            for found in mk.items("deployments")
        )

    eventually(lambda: ready(1), "the operator's deployment")
    made = mk.get("configmap", "shop")["metadata"]
    assert made["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
    assert mk.get("deployment", "shop")["metadata"]["ownerReferences"][0]["uid"] == made["uid"]
    assert mk.get("service", "shop")["metadata"]["ownerReferences"][0]["kind"] == "ConfigMap"
    eventually(lambda: mk.get("configmap", "shop")["metadata"]["annotations"].get("sites") == "1", "the timer's count")
    eventually(
        lambda: [event for event in mk.items("events") if (event["reason"], event["type"]) == ("Made", "Normal")],
        "the operator's event",
    )

    mk.run("patch", "configmap", "shop", "--type=merge", "-p", '{"data":{"replicas":"2"}}')
    eventually(lambda: ready(2), "the scaled deployment")

    mk.run("delete", "configmap", "shop")
    assert mk.get("configmap", "gone-shop")["metadata"]["name"] == "gone-shop"
    eventually(lambda: not mk.items("deployments") and not mk.items("services"), "its dependents are gone")
