"""The static CPU policy: containers of Guaranteed pods that ask for whole CPUs get them for themselves.

All others share what is left; the CPUs reserved for the system are never given away, but containers may run there.
Source: Kubernetes documentation, "Control CPU Management Policies on the Node".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from fractions import Fraction
from math import ceil
from pathlib import Path

from apimachinery.quantity import parse_quantity
from componentbase.host.privatefiles import write_private
from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubelet.container.limits import qos_class
from kubelet.cpus.topology import Topology, format_cpus, parse_cpus, take

STATE_FILE = "cpu_manager_state"
NONE, STATIC = "none", "static"


class CpuError(Exception):
    """A pod can't have its CPUs, or the state of an earlier kubelet does not fit."""


def check_no_state(root_dir: str) -> None:
    """Without a policy, an earlier kubelet must not have given CPUs away. Raises: CpuError; OSError; ValueError."""
    path = Path(root_dir, STATE_FILE)
    if path.exists() and (policy := json.loads(path.read_text())["policyName"]) != NONE:
        raise CpuError(
            f'configured policy "{NONE}" differs from state checkpoint policy "{policy}": drain this node and delete '
            f"{path}"
        )


def reserved_cpus(topology: Topology, named: frozenset[int], amount: Fraction) -> frozenset[int]:
    """Returns those that are named, else as many as `amount` needs, from the lowest on. Raises: CpuError."""
    if named - set(topology):
        raise CpuError(f"unable to reserve the required CPUs: {format_cpus(named - set(topology))} are not online")
    if named:
        return named
    if amount <= 0:
        raise CpuError("the static policy requires systemreserved.cpu + kubereserved.cpu to be greater than zero")
    try:
        return take(topology, set(topology), ceil(amount))
    except ValueError as error:
        raise CpuError(f"unable to reserve the required amount of CPUs: {error}") from None


class CpuManager:
    """`on_change` is called when the shared CPUs have changed."""

    def __init__(
        self, root_dir: str, topology: Topology, reserved: frozenset[int], on_change: Callable[[], None]
    ) -> None:
        self._path = Path(root_dir, STATE_FILE)
        self._topology = topology
        self._reserved = reserved
        self._on_change = on_change
        self._held: dict[str, dict[str, frozenset[int]]] = {}

    @property
    def shared(self) -> frozenset[int]:
        """The CPUs of all containers that have none of their own."""
        return frozenset(self._topology) - self._used()

    @property
    def allocatable(self) -> frozenset[int]:
        """The CPUs that containers may have for themselves."""
        return frozenset(self._topology) - self._reserved

    def load(self) -> None:
        """Recalls who has which CPUs. Raises: CpuError; OSError; ValueError."""
        if not self._path.exists():
            self._save()
            return
        state = json.loads(self._path.read_text())
        if state["policyName"] != STATIC:
            raise CpuError(f'configured policy "{STATIC}" differs from state checkpoint policy "{state["policyName"]}"')
        self._held = {
            uid: {name: parse_cpus(cpus) for name, cpus in containers.items()}
            for uid, containers in (state.get("entries") or {}).items()
        }
        if self._used() & self._reserved or self._used() - set(self._topology):
            raise CpuError(
                "current set of available CPUs doesn't match with CPUs in state: drain this node and delete "
                f"{self._path}"
            )

    def _save(self) -> None:
        """Raises: OSError."""
        entries = {
            uid: {name: format_cpus(cpus) for name, cpus in containers.items()}
            for uid, containers in self._held.items()
        }
        state = {"policyName": STATIC, "defaultCpuSet": format_cpus(self.shared), "entries": entries}
        write_private(self._path, json.dumps(state).encode(), durable=True)

    def _used(self) -> frozenset[int]:
        return frozenset(cpu for held in self._held.values() for cpus in held.values() for cpu in cpus)

    def concerns(self, pod: Pod) -> bool:
        """Tells whether any container of the pod gets CPUs of its own."""
        return qos_class(pod) == "Guaranteed" and any(map(whole_cpus, _containers(pod)))

    def allocate(self, pod: Pod) -> None:
        """Gives the pod's containers their CPUs, or none of them. Raises: CpuError."""
        uid = pod.metadata.uid or ""
        if uid in self._held:
            return
        again, held = set[int](), dict[str, frozenset[int]]()
        try:
            for container in _containers(pod):
                count = whole_cpus(container)
                if not count:
                    continue
                free = set(self.shared) - self._reserved - {cpu for cpus in held.values() for cpu in cpus}
                if len(again) >= count:
                    cpus = take(self._topology, again, count)
                else:
                    cpus = take(self._topology, free, count - len(again)) | frozenset(again)
                held[container.name] = cpus
                init = container in (pod.spec.initContainers or ())
                again = again | cpus if init and not is_sidecar(container) else again - cpus
            self._held[uid] = held
            self._save()
        except (ValueError, OSError) as error:
            self._held.pop(uid, None)
            raise CpuError(str(error)) from None
        self._on_change()

    def release(self, pod_uid: str) -> None:
        """Raises: OSError."""
        if self._held.pop(pod_uid, None) is not None:
            self._save()
            self._on_change()

    def keep(self, pod_uids: Collection[str]) -> None:
        """Takes back what other pods have. Raises: OSError."""
        for uid in set(self._held) - set(pod_uids):
            self.release(uid)

    def has_own(self, pod_uid: str) -> bool:
        """Tells whether any container of the pod has CPUs for itself."""
        return bool(self._held.get(pod_uid))

    def own(self, pod_uid: str, container: str) -> frozenset[int]:
        """Returns the CPUs that the container has for itself."""
        return self._held.get(pod_uid, {}).get(container, frozenset())


def whole_cpus(container: Container) -> int:
    """Returns how many CPUs a container asks for, where that is a whole number; else 0."""
    resources = container.resources
    amount = parse_quantity((resources.requests or {}).get("cpu") or (resources.limits or {}).get("cpu") or "0")
    return int(amount) if amount.denominator == 1 else 0


def _containers(pod: Pod) -> list[Container]:
    return [*(pod.spec.initContainers or ()), *pod.spec.containers]
