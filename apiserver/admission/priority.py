"""Priority: a pod's priority is that of its class; without one it is 0 and may preempt what is lower."""

from __future__ import annotations

from apimachinery.errors import Forbidden
from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin, spec_of

SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
DEFAULT_PRIORITY = 0
PREEMPT_LOWER = "PreemptLowerPriority"


def admit(attributes: Attributes, lookup: Lookup) -> None:
    spec = spec_of(attributes.obj)
    class_name = spec.priorityClassName or ""
    priority = SYSTEM_CLASSES.get(class_name, DEFAULT_PRIORITY)
    if class_name and class_name not in SYSTEM_CLASSES:
        raise _forbidden(attributes, f"no PriorityClass with name {class_name} was found")
    if spec.priority is not None and spec.priority != priority:
        raise _forbidden(
            attributes,
            f"the integer value of priority ({spec.priority}) must not be provided in pod spec; priority admission "
            f"controller computed {priority} from the given PriorityClass name",
        )
    spec.priority = priority
    spec.preemptionPolicy = spec.preemptionPolicy or PREEMPT_LOWER


def _forbidden(attributes: Attributes, why: str) -> Forbidden:
    details = {"name": attributes.name, "kind": "pods"}
    return Forbidden(f'pods "{attributes.name}" is forbidden: {why}', details)


ADMISSION = Plugin("Priority", frozenset({CREATE}), frozenset({"pods"}), mutate=admit)
