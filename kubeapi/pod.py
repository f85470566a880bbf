"""Pod: containers that share a host, a network namespace and volumes."""

from __future__ import annotations

from pydantic import Field

from apimachinery.resource import Resource
from kubeapi._podspec import PodSpec, PodSpecHolder
from kubeapi._podstatus import PodStatus


class Pod(PodSpecHolder):
    built_before = (PodSpec, PodStatus)

    spec: PodSpec = Field(default_factory=PodSpec)
    status: PodStatus = Field(default_factory=PodStatus)


RESOURCE = Resource(kind="Pod", plural="pods", model=Pod, short_names=("po",), categories=("all",), status=True)
