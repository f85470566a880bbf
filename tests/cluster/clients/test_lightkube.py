"""`lightkube`: dataclass models, server-side apply of whole manifests, waits and streams."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from lightkube import ApiError, Client, KubeConfig, codecs
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod, Secret
from lightkube.types import CascadeType, PatchType

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.eventually import eventually
from tests.kits.manifests import container, deployment, pod, web_container


@pytest.fixture
def client(cluster: ClusterHandle, namespace: str) -> Iterator[Client]:
    with Client(KubeConfig.from_file(str(cluster.kubeconfig)), namespace=namespace, field_manager="light") as made:
        yield made


def test_manifests_are_applied_and_conflicts_are_seen(client: Client, namespace: str) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n"
    (settings,) = codecs.load_all_yaml(text)
    applied = client.apply(settings, namespace=namespace)
    assert [entry.manager for entry in applied.metadata.managedFields] == ["light"]
    settings.metadata.managedFields = None
    settings.data["colour"] = "red"
    with pytest.raises(ApiError) as conflict:
        client.apply(settings, namespace=namespace, field_manager="other")
    assert conflict.value.status.reason == "Conflict"
    assert conflict.value.status.details.causes[0].field == ".data.colour"
    taken = client.apply(settings, namespace=namespace, field_manager="other", force=True)
    assert sorted(entry.manager for entry in taken.metadata.managedFields) == ["other"]
    client.patch(ConfigMap, "settings", [{"op": "add", "path": "/data/x", "value": "y"}], patch_type=PatchType.JSON)
    assert client.get(ConfigMap, "settings").data == {"colour": "red", "x": "y"}


@pytest.mark.usefixtures("image")
def test_a_deployment_is_waited_for(client: Client, namespace: str) -> None:
    client.apply(codecs.from_dict(deployment("web", 2, web_container())), namespace=namespace)
    ready = client.wait(Deployment, "web", for_conditions=["Available"])
    assert ready.status.replicas == 2
    scale = Deployment.Scale(metadata=ObjectMeta(name="web"), spec=ScaleSpec(replicas=1))
    client.apply(scale, "web", namespace=namespace, field_manager="scaler", force=True)
    eventually(lambda: len(list(client.list(Pod, labels={"app": "web"}))) == 1, "one pod")
    assert client.get(Deployment.Scale, "web").spec.replicas == 1
    client.delete(Deployment, "web", cascade=CascadeType.FOREGROUND)
    eventually(lambda: not list(client.list(Pod)), "no pod")


@pytest.mark.usefixtures("image")
def test_a_pod_is_watched_and_asked(client: Client, cluster: ClusterHandle, namespace: str) -> None:
    client.create(codecs.from_dict(pod("shell", container("sh", "-c", "echo hello; sleep 1000"))))
    for _, found in client.watch(Pod, fields={"metadata.name": "shell"}):
        if any(c.type == "Ready" and c.status == "True" for c in found.status.conditions or ()):
            break
    eventually(lambda: list(client.log("shell")) == ["hello\n"], "its line is logged")
    assert exec_alone(cluster, namespace, "shell", "cat", "/etc/hostname") == "shell\n"
    client.delete(Pod, "shell", grace_period=0)


EXEC = """
import sys
from lightkube import Client, KubeConfig
config, namespace, name, *command = sys.argv[1:]
client = Client(KubeConfig.from_file(config), namespace=namespace)
sys.stdout.write(client.exec(name, command=command, stdout=True).stdout)
"""


def exec_alone(cluster: ClusterHandle, namespace: str, name: str, *command: str) -> str:
    """In a process of its own: its WebSocket is closed while another of its threads reads, which then may read from
    the connection that is made next and got the same file descriptor."""
    arguments = [sys.executable, "-c", EXEC, str(cluster.kubeconfig), namespace, name, *command]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout


def test_lists_come_in_chunks(client: Client, namespace: str) -> None:
    for index in range(7):
        client.create(Secret(metadata=ObjectMeta(name=f"s{index}", namespace=namespace)))
    assert [obj.metadata.name for obj in client.list(Secret, chunk_size=3)] == [f"s{i}" for i in range(7)]
    client.deletecollection(Secret)
    assert not list(client.list(Secret))
