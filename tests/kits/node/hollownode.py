"""Pods that run without a kubelet."""

from __future__ import annotations

import asyncio
import itertools
import threading

from apimachinery.conditions import set_condition
from apimachinery.errors import Conflict, NotFound, StatusError
from apimachinery.meta import ObjectMeta
from apimachinery.times import format_time
from componentbase.clock import Clock
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodCondition, PodIP
from kubeclient.access.config import ClientConfig
from kubeclient.informer import Informer
from kubeclient.rest import RestClient
from kubeclient.workqueue import WorkQueue
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.process import TOKEN
from tests.kits.tasks import background


class HollowNode:
    """A node whose pods run in name only: it binds all of a namespace, makes them ready, and lets them go when deleted.

    `peak` is the largest number of active pods that ever existed at once, in the order the API tells.
    """

    def __init__(self, api: ApiServer, namespace: str, name: str = "hollow") -> None:
        self.name = name
        self.peak = 0
        self.failure: BaseException | None = None
        self._url, self._namespace = api.url, namespace
        self._active: set[str] = set()
        self._addresses = itertools.count(1)
        self._up, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> HollowNode:
        self._thread.start()
        assert self._up.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self.failure = error

    async def _main(self) -> None:
        config = ClientConfig(server=self._url, insecure=True, token=TOKEN)
        async with RestClient(config, user_agent="hollow-node") as rest:
            await self._register(rest)
            queue, pods = WorkQueue("hollow"), Informer(rest, Pod, namespace=self._namespace)
            pods.add_handler(self._count)
            pods.add_handler(lambda old, new: queue.add((new or old).key))  # type: ignore[union-attr]
            async with background(pods.run()) as tasks:
                await pods.wait_synced()
                for _ in range(8):
                    tasks.create_task(self._work(rest, pods, queue))
                self._up.set()
                await asyncio.to_thread(self._ending.wait)
            queue.close()

    async def _register(self, rest: RestClient) -> None:
        node = await rest.create(Node(metadata=ObjectMeta(name=self.name)))
        node.spec.taints = None
        await rest.patch(Node, self.name, "", {"spec": {"taints": None}})

    def _count(self, old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        if new is None or new.metadata.deletionTimestamp is not None:
            self._active.discard(pod.metadata.uid or "")
        else:
            self._active.add(pod.metadata.uid or "")
        self.peak = max(self.peak, len(self._active))

    async def _work(self, rest: RestClient, pods: Informer[Pod], queue: WorkQueue) -> None:
        while True:
            key = await queue.get()
            pod = pods.get(key)
            try:
                if pod is not None:
                    await self._sync(rest, pod)
                queue.forget(key)
            except (NotFound, Conflict):
                queue.forget(key)
            except (StatusError, ConnectionError, TimeoutError):  # the server is away, or not ready yet
                queue.add_after(key, 0.1)
            finally:
                queue.done(key)

    async def _sync(self, rest: RestClient, pod: Pod) -> None:
        if pod.metadata.deletionTimestamp is not None:
            await rest.delete(Pod, pod.name, pod.namespace, grace_period_seconds=0, uid=pod.metadata.uid)
        elif not pod.spec.nodeName:
            await rest.bind(pod.namespace, pod.name, self.name, uid=pod.metadata.uid or "")
        elif pod.status.phase != "Running" and pod.spec.containers[0].image != "never-ready":
            number = next(self._addresses)
            address = f"10.244.{number // 250}.{number % 250 + 1}"
            ready = PodCondition(type="Ready", status="True", lastTransitionTime=format_time(Clock().now()))
            pod = pod.clone()
            pod.status.phase = "Running"
            pod.status.podIP, pod.status.podIPs = address, [PodIP(ip=address)]
            pod.status.conditions = set_condition(pod.status.conditions, ready)
            await rest.update(pod, "status")
