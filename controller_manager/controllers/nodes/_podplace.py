"""Defines the index of pods by their node, which several controllers share."""

from __future__ import annotations

from kubeapi.core.pod.model import Pod

NODE_INDEX = "node"


def node_values(pod: Pod) -> tuple[str, ...]:
    return (pod.spec.nodeName,) if pod.spec.nodeName else ()
