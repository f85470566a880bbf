"""Data that outlives its pod: claims of the classes that a new cluster has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import container, deployment, pod

pytestmark = pytest.mark.cluster

Dict = dict[str, Any]

MOUNTS = [{"name": "data", "mountPath": "/data"}]


def claim(name: str, **spec: Any) -> Dict:
    own = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": own}


def volume_of(name: str) -> list[Dict]:
    return [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]


def claims_volume(mk: CommandLine, name: str) -> Dict:
    return mk.get("pv", str(mk.get("pvc", name)["spec"]["volumeName"]))


def delete_claim(mk: CommandLine, name: str, folder: Path) -> None:
    volume = mk.get("pvc", name)["spec"]["volumeName"]
    mk.run("delete", "pvc", name, "--timeout=60s")
    eventually(lambda: mk.try_run("get", "pv", str(volume)).returncode != 0, "the volume is gone")
    assert not folder.exists()


def test_a_database_finds_its_data_and_takes_it_along_when_its_claim_goes(mk: CommandLine) -> None:
    write = container("sh", "-c", "cat /etc/hostname >> /data/visits; sleep 100000", volumeMounts=MOUNTS)
    security = {"runAsUser": 1000, "fsGroup": 2000}
    database = deployment(
        "db", 1, write, strategy={"type": "Recreate"}, volumes=volume_of("db"), securityContext=security
    )
    mk.apply(claim("db"), database)
    mk.run("rollout", "status", "deployment/db", "--timeout=120s")
    volume = claims_volume(mk, "db")
    folder = Path(volume["spec"]["local"]["path"])
    (first,) = mk.items("pods", "-l", "app=db")
    mk.run("delete", "pod", first["metadata"]["name"])
    mk.run("rollout", "status", "deployment/db", "--timeout=120s")

    def second() -> Dict:
        names = {item["metadata"]["name"]: item for item in mk.items("pods", "-l", "app=db")}
        names.pop(first["metadata"]["name"], None)
        return next((item for item in names.values() if item["status"]["phase"] == "Running"), {})

    again = eventually(second, "a second pod")
    assert again["spec"]["nodeName"] == first["spec"]["nodeName"]
    visitors = [first["metadata"]["name"], again["metadata"]["name"]]
    eventually(lambda: (folder / "visits").read_text().split() == visitors, "both pods have written")
    figures = mk.run("get", "--raw", f"/api/v1/nodes/{again['spec']['nodeName']}/proxy/metrics")
    assert f'kubelet_volume_stats_used_bytes{{namespace="{mk.namespace}",persistentvolumeclaim="db"}} ' in figures

    mk.run("delete", "pvc", "db", "--wait=false")
    assert mk.get("pvc", "db")["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert (folder / "visits").exists()  # a pod uses it
    mk.run("delete", "deployment", "db")
    eventually(lambda: not mk.items("pvc") and not folder.exists(), "claim and folder are gone")


def test_pods_of_both_hosts_share_a_volume(mk: CommandLine) -> None:
    mk.apply(claim("shared", storageClassName="shared", accessModes=["ReadWriteMany"]))
    for node in ("worker-1", "worker-2"):
        write = container("sh", "-c", f"echo {node} > /data/{node}; sleep 100000", volumeMounts=MOUNTS)
        mk.apply(pod(node, write, volumes=volume_of("shared"), nodeSelector={"kubernetes.io/hostname": node}))
    for node in ("worker-1", "worker-2"):
        mk.run("wait", "--for=condition=Ready", f"pod/{node}", "--timeout=120s")
        eventually(
            lambda node=node: mk.run("exec", node, "--", "ls", "/data").split() == ["worker-1", "worker-2"],  # type: ignore[misc]
            f"{node} sees both files",
        )
    folder = Path(claims_volume(mk, "shared")["spec"]["hostPath"]["path"])
    mk.run("delete", "pod", "worker-1", "worker-2")
    delete_claim(mk, "shared", folder)
