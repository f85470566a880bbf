"""Priority: a pod's priority is that of its class; without a class it is 0, and the pod may preempt lower ones.

Source: Kubernetes documentation, "Pod Priority and Preemption".
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from apimachinery.model import decode
from apiserver.admission._plugin import CREATE, DELETE, UPDATE, Attributes, Lookup, Plugin, refused, spec_of
from kubeapi.scheduling.priorityclass import PREEMPT_LOWER, SYSTEM_CLASSES, PriorityClass

GROUP = "scheduling.k8s.io"
NO_CLASS = PriorityClass()


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    if attributes.resource.kind != "Pod" or attributes.operation == DELETE:
        return None
    spec = spec_of(attributes.obj)
    if attributes.operation == UPDATE:
        _keep(spec, spec_of(attributes.old))
        return None
    classes = lookup.derived(lookup.resource("priorityclasses", GROUP), _by_name)
    name = spec.priorityClassName
    if not name:
        _give(attributes, spec, classes.get("", NO_CLASS))
    elif name in classes:
        _give(attributes, spec, classes[name])
    else:
        return _look_again(attributes, lookup, spec)
    return None


def _by_name(classes: list[PriorityClass]) -> dict[str, PriorityClass]:
    """Returns the classes by name, and under "" the default class; of several the one with the lowest value."""
    by_name = {item.name: item for item in classes}
    defaults = [item for item in classes if item.globalDefault]
    return {**by_name, "": min(defaults, key=lambda item: item.value)} if defaults else by_name


async def _look_again(attributes: Attributes, lookup: Lookup, spec: Any) -> None:
    """Asks etcd: the cache may be behind another API server that has just created the class."""
    resource = lookup.resource("priorityclasses", GROUP)
    entry = await lookup.storage.get_from_etcd(resource, "", spec.priorityClassName)
    if entry is None:
        raise refused(attributes, f"no PriorityClass with name {spec.priorityClassName} was found")
    _give(attributes, spec, decode(PriorityClass, entry.value))


def _give(attributes: Attributes, spec: Any, chosen: PriorityClass) -> None:
    """Gives the pod the priority of its class. Raises: Forbidden if the client set another one."""
    if chosen.name:
        spec.priorityClassName = chosen.name
    if spec.priority is not None and spec.priority != chosen.value:
        raise refused(
            attributes,
            f"the integer value of priority ({spec.priority}) must not be provided in pod spec; priority admission "
            f"controller computed {chosen.value} from the given PriorityClass name",
        )
    spec.priority = chosen.value
    policy = chosen.preemptionPolicy or PREEMPT_LOWER
    if spec.preemptionPolicy and spec.preemptionPolicy != policy:
        raise refused(
            attributes,
            f"the string value of PreemptionPolicy ({spec.preemptionPolicy}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name",
        )
    spec.preemptionPolicy = policy


def _keep(spec: Any, old: Any) -> None:
    """Keeps the priority when a client writes its original pod, which lacks it."""
    if spec.priority is None:
        spec.priority = old.priority
    if spec.preemptionPolicy is None:
        spec.preemptionPolicy = old.preemptionPolicy


def check(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    """Refuses to delete the system's classes, and to have two default classes."""
    if attributes.resource.kind != "PriorityClass":
        return None
    if attributes.operation == DELETE:
        if attributes.name in SYSTEM_CLASSES:
            raise refused(attributes, "this is a system priority class and cannot be deleted")
    elif attributes.obj.globalDefault:
        return _check_default(attributes, lookup)
    return None


async def _check_default(attributes: Attributes, lookup: Lookup) -> None:
    await lookup.storage.catch_up()  # the other default class may be a moment old
    default = lookup.derived(attributes.resource, _by_name).get("")
    if default is not None and default.name != attributes.name:
        why = f"PriorityClass {default.name} is already marked as default. Only one default can exist"
        raise refused(attributes, why)


ADMISSION = Plugin(
    "Priority",
    frozenset({CREATE, UPDATE, DELETE}),
    frozenset({"pods", f"priorityclasses.{GROUP}"}),
    mutate=admit,
    validate=check,
)
