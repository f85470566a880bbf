"""RuntimeClass: a pod gets the overhead of its class, and is scheduled to the nodes of the class.

Source: Kubernetes documentation, "Runtime Class", "Pod Overhead".
"""

from __future__ import annotations

from collections.abc import Awaitable

from apimachinery.model import decode
from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin, refused, spec_of
from kubeapi.core.pod.scheduling.tolerations import merged
from kubeapi.node.runtimeclass import RuntimeClass, Scheduling

GROUP = "node.k8s.io"


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    spec = spec_of(attributes.obj)
    if not spec.runtimeClassName:
        if spec.overhead:
            raise refused(
                attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )
        return None
    return _admit_class(attributes, lookup, spec.runtimeClassName)


async def _admit_class(attributes: Attributes, lookup: Lookup, name: str) -> None:
    resource = lookup.resource("runtimeclasses", GROUP)
    entry = lookup.storage.latest(resource, "", name) or await lookup.storage.get_from_etcd(resource, "", name)
    if entry is None:
        raise refused(attributes, f'pod rejected: RuntimeClass "{name}" not found')
    chosen = decode(RuntimeClass, entry.value)
    _set_overhead(attributes, chosen)
    if chosen.scheduling is not None:
        _set_scheduling(attributes, chosen.scheduling)


def _set_overhead(attributes: Attributes, chosen: RuntimeClass) -> None:
    spec = spec_of(attributes.obj)
    overhead = chosen.overhead.podFixed if chosen.overhead is not None else None
    if chosen.overhead is None and spec.overhead:
        raise refused(attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
    if spec.overhead and spec.overhead != overhead:
        raise refused(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    spec.overhead = overhead


def _set_scheduling(attributes: Attributes, scheduling: Scheduling) -> None:
    spec = spec_of(attributes.obj)
    selector = dict(spec.nodeSelector or {})
    for key, value in (scheduling.nodeSelector or {}).items():
        own = selector.setdefault(key, value)
        if own != value:
            where = f"runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
            raise refused(attributes, f"conflict: {where}")
    spec.nodeSelector = selector or None
    spec.tolerations = merged([*(spec.tolerations or ()), *(scheduling.tolerations or ())]) or None


ADMISSION = Plugin("RuntimeClass", frozenset({CREATE}), frozenset({"pods"}), mutate=admit)
