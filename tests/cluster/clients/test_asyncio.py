"""`kubernetes_asyncio`: many requests at once, watches as async generators, exec over its WebSocket client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.client.exceptions import ApiException
from kubernetes_asyncio.dynamic import DynamicClient
from kubernetes_asyncio.stream import WsApiClient

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.eventually import eventually_async
from tests.kits.manifests import configmap, container, pod

READY_SECONDS = 60


@asynccontextmanager
async def connect(cluster: ClusterHandle) -> AsyncIterator[client.ApiClient]:
    configuration = client.Configuration()
    await config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as connection:
        yield connection


async def wait_ready(core: client.CoreV1Api, namespace: str, name: str) -> None:
    async with watch.Watch().stream(
        core.list_namespaced_pod, namespace, field_selector=f"metadata.name={name}", timeout_seconds=READY_SECONDS
    ) as events:
        async for event in events:
            if any(c.type == "Ready" and c.status == "True" for c in event["object"].status.conditions or ()):
                return
    raise AssertionError(f"pod {name} is not ready after {READY_SECONDS} s")


async def test_many_writers_and_one_watcher(cluster: ClusterHandle, namespace: str) -> None:
    async with connect(cluster) as connection:
        core = client.CoreV1Api(connection)
        names = {f"c{index}" for index in range(30)}
        revision = (await core.list_namespaced_config_map(namespace)).metadata.resource_version
        await asyncio.gather(*(core.create_namespaced_config_map(namespace, configmap(name)) for name in names))
        seen: set[str] = set()
        async with watch.Watch().stream(
            core.list_namespaced_config_map, namespace, resource_version=revision, timeout_seconds=20
        ) as events:
            async for event in events:
                seen.add(event["object"].metadata.name)
                if names <= seen:
                    break
        assert names <= seen


async def test_increments_are_never_lost(cluster: ClusterHandle, namespace: str) -> None:
    async def increment(core: client.CoreV1Api) -> None:
        while True:
            found = await core.read_namespaced_config_map("counter", namespace)
            found.data["n"] = str(int(found.data["n"]) + 1)
            try:
                await core.replace_namespaced_config_map("counter", namespace, found)
            except ApiException as error:
                if error.status != 409:
                    raise
            else:
                return

    async with connect(cluster) as connection:
        core = client.CoreV1Api(connection)
        await core.create_namespaced_config_map(namespace, configmap("counter", n="0"))
        await asyncio.gather(*(increment(core) for _ in range(8)))
        assert (await core.read_namespaced_config_map("counter", namespace)).data == {"n": "8"}


async def test_the_dynamic_client_knows_every_kind(cluster: ClusterHandle, namespace: str) -> None:
    async with connect(cluster) as connection:
        dynamic = await DynamicClient(connection)
        deployments = await dynamic.resources.get(api_version="apps/v1", kind="Deployment")
        assert deployments.namespaced
        configmaps = await dynamic.resources.get(api_version="v1", kind="ConfigMap")
        applied = await configmaps.server_side_apply(
            configmap("x", a="b"), namespace=namespace, field_manager="asyncio"
        )
        assert applied.metadata.managedFields[0].manager == "asyncio"
        assert (await configmaps.get(name="x", namespace=namespace)).data.a == "b"


@pytest.mark.usefixtures("image")
async def test_exec_and_logs(cluster: ClusterHandle, namespace: str) -> None:
    async with connect(cluster) as connection:
        core = client.CoreV1Api(connection)
        await core.create_namespaced_pod(namespace, pod("shell", container("sh", "-c", "echo up; sleep 1000")))
        await wait_ready(core, namespace, "shell")

        async def up() -> bool:
            return bool(await core.read_namespaced_pod_log("shell", namespace) == "up\n")

        await eventually_async(up, "the log's line")
        async with WsApiClient(connection.configuration) as streams:
            said = await client.CoreV1Api(streams).connect_get_namespaced_pod_exec(
                "shell", namespace, command=["cat", "/etc/hostname"], stdout=True, stderr=True
            )
            assert said == "shell\n"
            many = await asyncio.gather(
                *(
                    client.CoreV1Api(streams).connect_get_namespaced_pod_exec(
                        "shell", namespace, command=["echo", f"n{number}"], stdout=True
                    )
                    for number in range(5)
                )
            )
            assert many == [f"n{number}\n" for number in range(5)]
