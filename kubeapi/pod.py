"""Pod: containers that share a host, a network namespace and volumes."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.resource import Resource
from kubeapi._common import always
from kubeapi._podspec import PodSpec
from kubeapi._podstatus import PodStatus


class Pod(Object):
    spec: PodSpec = always()
    status: PodStatus = always()


RESOURCE = Resource(kind="Pod", plural="pods", model=Pod, short_names=("po",), categories=("all",), status=True)
