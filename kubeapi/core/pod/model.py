"""Pod: containers that share a host, a network namespace and volumes."""

from __future__ import annotations

from pydantic import Field

from kubeapi.core.pod.spec import PodSpec, PodSpecHolder
from kubeapi.core.pod.status import PodStatus


class Pod(PodSpecHolder, protobuf="metadata spec status"):
    """Containers that run together on one node and share an address and volumes."""

    built_before = (PodSpec, PodStatus)

    spec: PodSpec = Field(default_factory=PodSpec)
    """The desired containers, and the nodes they may run on."""
    status: PodStatus = Field(default_factory=PodStatus)
    """The state of the containers, reported by the node."""
