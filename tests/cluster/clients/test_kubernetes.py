"""The official Python client, `kubernetes`: the typed and the dynamic client, informers, streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.informer import SharedInformer
from kubernetes.stream import portforward, stream

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.eventually import eventually
from tests.kits.manifests import configmap, container, deployment, pod, service, web_container

READY_SECONDS = 60.0


@pytest.fixture(scope="module")
def connection(cluster: ClusterHandle) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(cluster.kubeconfig)) as made:
        yield made


@pytest.fixture
def core(connection: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(connection)


def wait_ready(core: client.CoreV1Api, namespace: str, name: str) -> client.V1Pod:
    """By a watch, as programs do it."""
    events = watch.Watch()
    selector = {"field_selector": f"metadata.name={name}", "timeout_seconds": int(READY_SECONDS)}
    for event in events.stream(core.list_namespaced_pod, namespace, **selector):
        found: client.V1Pod = event["object"]
        if any(c.type == "Ready" and c.status == "True" for c in found.status.conditions or ()):
            events.stop()
            return found
    raise AssertionError(f"pod {name} is not ready after {READY_SECONDS} s")


def test_a_rollout_is_driven_and_watched(
    connection: client.ApiClient, core: client.CoreV1Api, namespace: str, image: str
) -> None:
    apps = client.AppsV1Api(connection)
    for made in utils.create_from_dict(connection, deployment("web", 2, web_container()), namespace=namespace):
        assert made.metadata.generation == 1
    utils.create_from_dict(connection, service("web"), namespace=namespace)
    events = watch.Watch()
    for event in events.stream(apps.list_namespaced_deployment, namespace, timeout_seconds=int(READY_SECONDS)):
        if event["object"].status.ready_replicas == 2:
            events.stop()
    assert apps.read_namespaced_deployment_status("web", namespace).status.ready_replicas == 2

    def addresses() -> list[str]:
        subsets = core.read_namespaced_endpoints("web", namespace).subsets or []
        return [address.ip for subset in subsets for address in subset.addresses or []]

    eventually(lambda: len(addresses()) == 2, "both in the Service")

    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 1}})
    assert apps.read_namespaced_deployment_scale("web", namespace).spec.replicas == 1
    eventually(lambda: len(core.list_namespaced_pod(namespace, label_selector="app=web").items) == 1, "one pod")

    stale = apps.read_namespaced_deployment("web", namespace)

    def replaced() -> bool:
        """Until the controller does not write the status between the read and the write."""
        newest = apps.read_namespaced_deployment("web", namespace)
        newest.metadata.annotations = {"who": "first"}
        try:
            apps.replace_namespaced_deployment("web", namespace, newest)
        except ApiException as error:
            if error.status != 409:
                raise
            return False
        return True

    eventually(replaced, "a write on the newest state")
    stale.metadata.annotations = {"who": "second"}
    with pytest.raises(ApiException) as conflict:
        apps.replace_namespaced_deployment("web", namespace, stale)
    assert conflict.value.status == 409
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
    eventually(lambda: core.list_namespaced_pod(namespace).items == [], "no pod")


def test_an_informer_keeps_a_cache(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, configmap("before", a="1"))
    seen: list[tuple[str, str]] = []
    informer = SharedInformer(core.list_namespaced_config_map, namespace=namespace, label_selector="!hidden")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda obj, kind=kind: seen.append((kind, obj.metadata.name)))
    informer.start()
    try:
        eventually(lambda: ("ADDED", "before") in seen, "the first object")
        core.patch_namespaced_config_map("before", namespace, {"data": {"a": "2"}})
        core.create_namespaced_config_map(namespace, configmap("after"))
        core.patch_namespaced_config_map("before", namespace, {"metadata": {"labels": {"hidden": "yes"}}})
        eventually(lambda: {("DELETED", "before"), ("ADDED", "after")} <= set(seen), "the changes")
        assert ("MODIFIED", "before") in seen
        assert "after" in [obj.metadata.name for obj in informer.cache.list()]
    finally:
        informer.stop()


def test_the_dynamic_client_applies_and_watches(connection: client.ApiClient, namespace: str) -> None:
    configmaps = dynamic.DynamicClient(connection).resources.get(api_version="v1", kind="ConfigMap")
    manifest = configmap("settings", colour="blue", size="1")
    first = configmaps.server_side_apply(manifest, namespace=namespace, field_manager="one")
    assert [entry.manager for entry in first.metadata.managedFields] == ["one"]
    with pytest.raises(ApiException) as conflict:
        configmaps.server_side_apply(configmap("settings", colour="red"), namespace=namespace, field_manager="two")
    assert conflict.value.status == 409
    assert "one" in conflict.value.body
    forced = configmaps.server_side_apply(
        configmap("settings", colour="red"), namespace=namespace, field_manager="two", force_conflicts=True
    )
    assert forced.data.to_dict() == {"colour": "red", "size": "1"}
    given_up = configmaps.server_side_apply(configmap("settings"), namespace=namespace, field_manager="one")
    assert given_up.data.to_dict() == {"colour": "red"}
    for event in configmaps.watch(namespace=namespace, name="settings", timeout=60):
        assert event["object"].data.colour == "red"
        break
    configmaps.delete(name="settings", namespace=namespace)
    with pytest.raises(dynamic.exceptions.NotFoundError):
        configmaps.get(name="settings", namespace=namespace)


def test_commands_run_in_a_container(core: client.CoreV1Api, namespace: str, image: str) -> None:
    core.create_namespaced_pod(namespace, pod("shell", container("sh", "-c", "echo started; sleep 1000")))
    wait_ready(core, namespace, "shell")
    place: Any = (core.connect_get_namespaced_pod_exec, "shell", namespace)
    assert stream(*place, command=["echo", "hello"], stdout=True, stderr=True) == "hello\n"
    shell = stream(*place, command=["sh"], stdin=True, stdout=True, stderr=True, _preload_content=False)
    shell.write_stdin("echo out; echo err >&2; exit 3\n")
    shell.run_forever(timeout=60)
    assert (shell.read_stdout(), shell.read_stderr(), shell.returncode) == ("out\n", "err\n", 3)
    eventually(lambda: core.read_namespaced_pod_log("shell", namespace) == "started\n", "the log's line")
    lines = watch.Watch().stream(core.read_namespaced_pod_log, "shell", namespace)
    assert next(iter(lines)) == "started"
    core.delete_namespaced_pod("shell", namespace, grace_period_seconds=0)


def test_a_port_is_forwarded(core: client.CoreV1Api, namespace: str, image: str) -> None:
    core.create_namespaced_pod(namespace, pod("web", web_container()))
    wait_ready(core, namespace, "web")
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, "web", namespace, ports="8080")
    socket = forwarded.socket(8080)
    socket.settimeout(20)
    socket.sendall(b"GET /ok HTTP/1.0\r\n\r\n")
    answer = b""
    while piece := socket.recv(4096):
        answer += piece
    assert answer.endswith(b"ok\n")
    assert forwarded.error(8080) is None


def test_pages_dry_runs_and_errors(core: client.CoreV1Api, namespace: str) -> None:
    for index in range(5):
        core.create_namespaced_secret(namespace, {"metadata": {"name": f"s{index}"}, "stringData": {"a": "b"}})
    page = core.list_namespaced_secret(namespace, limit=2)
    assert page.metadata.remaining_item_count == 3
    names = [secret.metadata.name for secret in page.items]
    while page.metadata._continue:
        page = core.list_namespaced_secret(namespace, limit=2, _continue=page.metadata._continue)
        names += [secret.metadata.name for secret in page.items]
    assert names == [f"s{index}" for index in range(5)]
    core.create_namespaced_secret(namespace, {"metadata": {"name": "dry"}}, dry_run="All")
    with pytest.raises(ApiException) as missing:
        core.read_namespaced_secret("dry", namespace)
    assert (missing.value.status, missing.value.reason) == (404, "Not Found")
    with pytest.raises(ApiException) as unknown:
        core.patch_namespaced_secret("s0", namespace, {"dat": {}}, field_validation="Strict")
    assert (unknown.value.status, 'unknown field \\"dat\\"' in unknown.value.body) == (422, True)
    core.delete_collection_namespaced_secret(namespace)
    assert core.list_namespaced_secret(namespace).items == []


def test_events_are_consistent_with_a_watch_from_a_list(core: client.CoreV1Api, namespace: str) -> None:
    revision = core.list_namespaced_config_map(namespace).metadata.resource_version
    seen: list[str] = []

    def follow() -> None:
        events = watch.Watch()
        for event in events.stream(core.list_namespaced_config_map, namespace, resource_version=revision):
            if event["object"].metadata.name.startswith("made-"):
                seen.append(f"{event['type']} {event['object'].metadata.name}")
            if len(seen) == 20:
                events.stop()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    for index in range(10):
        core.create_namespaced_config_map(namespace, configmap(f"made-{index}"))
        core.delete_namespaced_config_map(f"made-{index}", namespace)
    follower.join(20)
    assert seen == [f"{kind} made-{index}" for index in range(10) for kind in ("ADDED", "DELETED")]
