"""Keeps a control group for each pod, below one for its class of service, below one for all pods.

The engine puts the pod's containers into the pod's group, which has the limits of the pod as a whole; the group of all
pods has what the node doesn't reserve. Where the engine's groups are out of sight (compose, an engine that leaves them
to systemd), there are none, and limits are those of containers alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from componentbase import logs
from kubeapi.core.pod.model import Pod
from kubelet.cgroups.files import GroupFiles, group_files
from kubelet.cgroups.limits import (
    BEST_EFFORT,
    BURSTABLE,
    CLASS_GROUPS,
    KUBEPODS,
    POD_PREFIX,
    pod_group,
    pod_limits,
    requested_millis,
    wider,
)
from kubelet.container.limits import cpu_shares, qos_class
from kubelet.runtime.configs import MIN_CPU_SHARES, Resources
from kubelet.runtime.interface import Runtime

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """`root`: the path of the group that "kubepods" lies in; `per_pod` False makes none. `pids_limit`: processes of a
    pod at most, 0 for any number. `pods`: limits of all pods together, None where they are not enforced."""

    per_pod: bool = False
    root: str = ""
    pids_limit: int = 0
    pods: Callable[[], Resources] | None = None


@dataclass(slots=True)
class PodGroup:
    """A pod's group, and the limits last written into it."""

    path: str
    limits: Resources
    burstable_millis: int


class PodGroups:
    """Every method may be repeated. `has_own_cpus(uid)` tells whether containers of a pod have CPUs for themselves."""

    def __init__(
        self,
        options: GroupOptions,
        has_own_cpus: Callable[[str], bool] = lambda uid: False,
        files: GroupFiles | None = None,
    ) -> None:
        self._options = options
        self._has_own_cpus = has_own_cpus
        self._files = files or group_files()
        self._groups: dict[str, PodGroup] = {}
        """Pod uid -> its group, of pods that have not ended."""
        self._ready = False
        self._class_lock = asyncio.Lock()
        self._burstable_millis = -1

    async def prepare(self, runtime: Runtime) -> None:
        """Makes the groups of the classes, if the runtime can use them. Raises: EngineError."""
        if not self._options.per_pod:
            return
        if not (await runtime.info()).shares_cgroups:
            log.info("the container runtime's control groups are out of reach: pods have none of their own")
            return
        try:
            await asyncio.to_thread(self._make_classes)
            self._ready = True
        except OSError as error:
            log.warning("control groups not made: pods have none of their own", error=str(error))

    def _make_classes(self) -> None:
        root = self._options.root
        for group in (BURSTABLE, BEST_EFFORT):
            self._files.make(root + group)
        self._files.write(root + KUBEPODS, self._options.pods() if self._options.pods else Resources())
        self._files.write(root + BEST_EFFORT, Resources(cpu_shares=MIN_CPU_SHARES))

    def of_all_pods(self) -> str:
        """Returns the path of the group of all pods; "" where there is none."""
        return self._options.root + KUBEPODS if self._ready else ""

    def path(self, uid: str) -> str:
        """Returns the path of the pod's group; "" when it has none, as its containers began without."""
        group = self._groups.get(uid)
        return group.path if group is not None else ""

    def container_pids_limit(self, uid: str) -> int:
        """Returns how many processes each container may have: any number where the limit is the pod's."""
        return 0 if uid in self._groups else self._options.pids_limit

    async def enter(self, pod: Pod) -> str:
        """Makes the pod's group before its containers; returns its path, "" where there are none. Raises: OSError."""
        if not self._ready:
            return ""
        path, limits = self._options.root + pod_group(pod), self._limits(pod)

        def make() -> None:
            self._files.make(path)
            self._files.write(path, limits)

        await asyncio.to_thread(make)
        self._groups[pod.metadata.uid or ""] = PodGroup(path, limits, _burstable_millis(pod))
        await self._weigh_class()
        return path

    async def fit(self, pod: Pod, *, resizing: bool) -> None:
        """Brings the limits up to date. While containers are `resizing`, they must fit in with either amount.

        After a restart of the kubelet the limits in effect are not known: a pod in the middle of that has none then.
        Raises: OSError.
        """
        if not self._ready:
            return
        uid, wanted = pod.metadata.uid or "", self._limits(pod)
        group = self._groups.get(uid)
        if group is None:
            path = self._options.root + pod_group(pod)
            if not self._files.exists(path):
                return
            group = PodGroup(path, Resources(), 0)
        limits = wider(group.limits, wanted) if resizing else wanted
        if limits != group.limits:
            await asyncio.to_thread(self._files.write, group.path, limits)
        self._groups[uid] = PodGroup(group.path, limits, _burstable_millis(pod))
        await self._weigh_class()

    async def leave(self, uid: str) -> None:
        """Removes the pod's group: nothing of it runs any more. What is still held is left to `keep`."""
        self._groups.pop(uid, None)
        if self._ready:
            await asyncio.to_thread(self._remove, uid)
            await self._weigh_class()

    async def keep(self, uids: Collection[str]) -> None:
        """Removes the groups of all other pods."""
        if self._ready:
            for uid in await asyncio.to_thread(self._existing):
                if uid not in uids:
                    await self.leave(uid)

    def _existing(self) -> set[str]:
        names = {name for group in CLASS_GROUPS.values() for name in self._files.children(self._options.root + group)}
        return {name.removeprefix(POD_PREFIX) for name in names if name.startswith(POD_PREFIX)}

    def _remove(self, uid: str) -> None:
        for group in CLASS_GROUPS.values():
            try:
                self._files.remove(f"{self._options.root}{group}/{POD_PREFIX}{uid}")
            except OSError as error:
                log.info("a pod's control group is still in use, will retry", uid=uid, error=str(error))

    def _limits(self, pod: Pod) -> Resources:
        own_cpus = self._has_own_cpus(pod.metadata.uid or "")
        return pod_limits(pod, pids_limit=self._options.pids_limit, own_cpus=own_cpus)

    async def _weigh_class(self) -> None:
        """Gives the burstable pods together the weight of their requests. Raises: OSError."""
        async with self._class_lock:
            millis = sum(group.burstable_millis for group in self._groups.values())
            if millis != self._burstable_millis:
                weight = Resources(cpu_shares=cpu_shares(millis))
                await asyncio.to_thread(self._files.write, self._options.root + BURSTABLE, weight)
                self._burstable_millis = millis


def _burstable_millis(pod: Pod) -> int:
    return requested_millis(pod) if qos_class(pod) == "Burstable" else 0
