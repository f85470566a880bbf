"""Volumes and environments that only real containers show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually

pytestmark = pytest.mark.cluster

SECONDS = 60.0


def make(name: str, image: str, script: str, volume: dict[str, Any], **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": image, "command": ["sh", "-c", script]}
    main |= {"volumeMounts": [{"name": "v", "mountPath": "/v"}], **container}
    spec = {"terminationGracePeriodSeconds": 0, "volumes": [{"name": "v"} | volume], "containers": [main]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def main_status(mk: CommandLine, name: str) -> dict[str, Any]:
    statuses = mk.get("pod", name)["status"].get("containerStatuses") or [{}]
    status: dict[str, Any] = statuses[0]
    return status


def logs(mk: CommandLine, name: str) -> str:
    """What the container has printed; "" before it runs."""
    return mk.try_run("logs", name).stdout


def test_a_file_in_memory_outlives_a_crash(mk: CommandLine, image: str) -> None:
    script = "if [ -f /v/file ]; then cat /v/file; sleep 1000; else echo kept >/v/file; exit 1; fi"
    mk.apply(make("crash", image, script, {"emptyDir": {"medium": "Memory"}}))
    eventually(lambda: main_status(mk, "crash").get("restartCount") == 1, "it has crashed once", seconds=SECONDS)
    eventually(lambda: logs(mk, "crash") == "kept\n", "the file is there", seconds=SECONDS)
    assert main_status(mk, "crash")["restartCount"] == 1


def test_the_files_of_an_image_are_mounted_and_every_key_is_a_variable(mk: CommandLine, image: str) -> None:
    data = {"data-1": "one", "a.b": "two"}
    mk.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "keys"}, "data": data})
    mount = {"name": "v", "mountPath": "/v", "subPath": "www"}
    source = {"image": {"reference": image, "pullPolicy": "IfNotPresent"}}
    more = {"volumeMounts": [mount], "envFrom": [{"configMapRef": {"name": "keys"}}]}
    script = "cat /v/ok; touch /v/new 2>&1; cat /proc/1/environ; echo; echo end; sleep 1000"
    mk.apply(make("pages", image, script, source, **more))
    eventually(lambda: logs(mk, "pages").endswith("\nend\n"), "it has printed all", seconds=SECONDS)
    ok, refused, environment, _ = logs(mk, "pages").splitlines()
    assert ok == "ok"
    assert "Read-only file system" in refused
    assert {"data-1=one", "a.b=two"} <= set(environment.split("\0"))
    assert "InvalidEnvironmentVariableNames" not in mk.run("get", "events")


def test_an_image_that_is_not_there_is_told_by_the_container_that_mounts_it(mk: CommandLine, image: str) -> None:
    source = {"image": {"reference": "mini-kubernetes/none:1", "pullPolicy": "Never"}}
    mk.apply(make("lacking", image, "sleep 1000", source))

    def waits() -> bool:
        return bool(main_status(mk, "lacking").get("state", {}).get("waiting", {}).get("reason") == "ErrImageNeverPull")

    eventually(waits, "it waits for the image", seconds=SECONDS)


def test_data_of_a_claim_outlives_its_pods_and_no_path_leads_out_of_it(
    cluster: ClusterHandle, mk: CommandLine, image: str, tmp_path: Path
) -> None:
    """One pod writes a file, and a link to the node's root; the next finds the file, and may not follow the link."""
    node, name = min(cluster.node_ips), f"disk-{mk.namespace}"
    host = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    spec = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": name}
    disk = {"local": {"path": str(tmp_path)}, "nodeAffinity": {"required": {"nodeSelectorTerms": [host]}}}
    mk.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec | disk})
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": name, "resources": {"requests": {"storage": "1Mi"}}}
    mk.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim})
    source = {"persistentVolumeClaim": {"claimName": "data"}}
    mount = {"name": "v", "mountPath": "/v", "subPath": "sub"}
    script = "echo kept >/v/file; ls -l / >/v/list; echo written; sleep 1000"
    mk.apply(make("writer", image, script, source, volumeMounts=[mount]))
    eventually(lambda: logs(mk, "writer") == "written\n", "it has written", seconds=SECONDS)
    assert (tmp_path / "sub/file").read_text() == "kept\n"
    assert mk.get("pod", "writer")["spec"]["nodeName"] == node
    mk.run("delete", "pod", "writer")
    (tmp_path / "evil").symlink_to("/")
    evil = mount | {"mountPath": "/evil", "subPath": "evil/etc"}
    mk.apply(make("reader", image, "cat /v/file; sleep 1000", source, volumeMounts=[mount]))
    mk.apply(make("attacker", image, "sleep 1000", source, volumeMounts=[evil]))
    eventually(lambda: logs(mk, "reader") == "kept\n", "it finds the file", seconds=SECONDS)

    def refused() -> bool:
        waiting = main_status(mk, "attacker").get("state", {}).get("waiting", {})
        return waiting.get("reason") == "CreateContainerConfigError" and "leads out" in waiting.get("message", "")

    eventually(refused, "the link is refused", seconds=SECONDS)
    mk.run("delete", "pod", "reader", "attacker")
    mk.run("delete", "pvc", "data")
    mk.run("delete", "pv", name)
    assert (tmp_path / "sub/file").read_text() == "kept\n"


def test_a_mount_of_one_container_reaches_another_that_asks_for_it(mk: CommandLine, image: str) -> None:
    mounted = "busybox mkdir /v/in; busybox mount -t tmpfs none /v/in; echo seen >/v/in/file; touch /v/done; sleep 1000"
    script = f"until [ -f /v/asks ] && [ -f /v/private ]; do sleep 1; done; {mounted}"
    body = make("propagation", image, script, {"emptyDir": {}}, securityContext={"privileged": True})
    body["spec"]["containers"][0]["volumeMounts"][0]["mountPropagation"] = "Bidirectional"
    for name, propagation in (("asks", "HostToContainer"), ("private", "None")):
        mounts = [{"name": "v", "mountPath": "/v", "mountPropagation": propagation}]
        wait = f"touch /v/{name}; until [ -f /v/done ]; do sleep 1; done; cat /v/in/file 2>&1; echo end; sleep 1000"
        command = ["sh", "-c", wait]
        body["spec"]["containers"].append({"name": name, "image": image, "command": command, "volumeMounts": mounts})
    mk.apply(body)

    def said(name: str) -> str:
        return mk.try_run("logs", "propagation", "-c", name).stdout

    eventually(lambda: said("asks") == "seen\nend\n", "the mount is seen", seconds=SECONDS)
    eventually(lambda: said("private").endswith("end\n"), "it has looked", seconds=SECONDS)
    assert "No such file" in said("private")
    mk.run("delete", "pod", "propagation")
