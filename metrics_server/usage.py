"""Reads what a kubelet says of the use of its node and pods, at /stats/summary. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW = "10s"
"""How often kubelets sample CPU time."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One node, or one container of a pod."""

    time: str
    nano_cores: int
    working_set_bytes: int

    def resources(self) -> dict[str, str]:
        """Shows CPU in billionths and memory in KiB, as metrics-server shows them."""
        return {
            "cpu": f"{self.nano_cores}n" if self.nano_cores else "0",
            "memory": f"{self.working_set_bytes // 1024}Ki",
        }


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """A kubelet's answer. `pods`: namespace/name -> container -> use.

    A pod with a container that isn't measured yet is left out.
    """

    node: Usage | None = None
    pods: Mapping[str, Mapping[str, Usage]] = field(default_factory=dict)


def read_summary(document: Mapping[str, Any]) -> NodeUsage:
    """Raises: KeyError, TypeError for a document that is not a summary."""
    pods: dict[str, Mapping[str, Usage]] = {}
    for pod in document["pods"]:
        usages = {item["name"]: _usage(item) for item in pod.get("containers") or ()}
        measured = {name: usage for name, usage in usages.items() if usage is not None}
        if usages and len(measured) == len(usages):
            pods[f"{pod['podRef']['namespace']}/{pod['podRef']['name']}"] = measured
    return NodeUsage(_usage(document["node"]), pods)


def _usage(item: Mapping[str, Any]) -> Usage | None:
    """Returns None while the rate or the memory isn't known."""
    cpu, memory = item.get("cpu") or {}, item.get("memory") or {}
    rate, size = cpu.get("usageNanoCores"), memory.get("workingSetBytes")
    return Usage(cpu["time"], rate, size) if rate is not None and size is not None else None
