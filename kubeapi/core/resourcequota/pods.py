"""What pods use of a quota: their number, and the CPU, memory and other resources that their containers ask for.

Source: Kubernetes documentation, "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apimachinery.quantity import ResourceList
from apimachinery.times import parse_time
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.requests import pod_resources
from kubeapi.core.pod.scheduling.affinity import Affinity, PodAffinityTerm
from kubeapi.core.pod.strategy.qos import BEST_EFFORT, qos_class
from kubeapi.core.pod.validation.resources import is_extended, is_huge
from kubeapi.core.resourcequota.evaluator import Evaluator, names_class
from kubeapi.core.resourcequota.model import ScopedResourceSelectorRequirement

_PREFIX = "requests."
_NATIVE = ("cpu", "memory", "ephemeral-storage")
_STATED = frozenset(f"{prefix}{name}" for prefix in ("", _PREFIX, "limits.") for name in ("cpu", "memory"))
"""Resources that every container has to state once a quota limits them."""


class PodEvaluator(Evaluator):
    model = Pod
    charged_updates = frozenset({"resize"})

    def __init__(self, group: str, plural: str) -> None:
        super().__init__(group, plural)
        compute = {f"{prefix}{name}" for prefix in ("", _PREFIX, "limits.") for name in _NATIVE}
        self._names = self._names | compute | {"pods"}

    def measures(self, name: str) -> bool:
        asked = name.removeprefix(_PREFIX)
        return name in self._names or is_huge(asked) or (asked != name and is_extended(asked))

    def usage(self, obj: Pod, now: float) -> ResourceList:
        """A pod that has ended, or should be gone by now, is only counted as an object."""
        used = {self.count: "1"}
        if _is_charged(obj, now):
            used["pods"] = "1"
            used.update(_amounts(pod_resources(obj.spec, "requests"), pod_resources(obj.spec, "limits")))
        return used

    def may_free(self, old: Pod, new: Pod | None) -> bool:
        """A pod uses less once it has ended, or is resized."""
        if new is None or old.metadata.generation != new.metadata.generation:
            return True
        return is_terminal(new.status.phase) and not is_terminal(old.status.phase)

    def missing(self, obj: Pod, names: Iterable[str]) -> str:
        stated = _STATED.intersection(names)
        if not stated:
            return ""
        without: dict[str, set[str]] = {}
        for container in (*obj.spec.containers, *(obj.spec.initContainers or ())):
            resources = container.resources
            for name in stated - _amounts(resources.requests or {}, resources.limits or {}).keys():
                without.setdefault(name, set()).add(container.name)
        if not without:
            return ""
        texts = (f"{name} for: {','.join(sorted(containers))}" for name, containers in sorted(without.items()))
        return f"must specify {'; '.join(texts)}"

    def in_scope(self, obj: Pod, condition: ScopedResourceSelectorRequirement) -> bool:
        match condition.scopeName:
            case "Terminating":
                return _has_deadline(obj)
            case "NotTerminating":
                return not _has_deadline(obj)
            case "BestEffort":
                return qos_class(obj.spec) == BEST_EFFORT
            case "NotBestEffort":
                return qos_class(obj.spec) != BEST_EFFORT
            case "PriorityClass":
                return names_class(obj.spec.priorityClassName, condition)
            case "CrossNamespacePodAffinity":
                return any(term.namespaces or term.namespaceSelector for term in _affinity_terms(obj.spec.affinity))
        return False


def _is_charged(pod: Pod, now: float) -> bool:
    if is_terminal(pod.status.phase):
        return False
    meta = pod.metadata
    if meta.deletionTimestamp is None or meta.deletionGracePeriodSeconds is None:
        return True
    return now <= parse_time(meta.deletionTimestamp) + meta.deletionGracePeriodSeconds


def _amounts(requests: Mapping[str, str], limits: Mapping[str, str]) -> ResourceList:
    """Returns requests and limits under the names that quotas have for them."""
    amounts: ResourceList = {}
    for name, value in requests.items():
        if name in _NATIVE or is_huge(name):
            amounts[name] = amounts[_PREFIX + name] = value
        elif is_extended(name):
            amounts[_PREFIX + name] = value
    for name, value in limits.items():
        if name in _NATIVE:
            amounts[f"limits.{name}"] = value
    return amounts


def _has_deadline(pod: Pod) -> bool:
    return pod.spec.activeDeadlineSeconds is not None and pod.spec.activeDeadlineSeconds >= 0


def _affinity_terms(affinity: Affinity | None) -> Iterable[PodAffinityTerm]:
    rules: list[Any] = [affinity.podAffinity, affinity.podAntiAffinity] if affinity is not None else []
    for rule in filter(None, rules):
        yield from rule.requiredDuringSchedulingIgnoredDuringExecution or ()
        for preferred in rule.preferredDuringSchedulingIgnoredDuringExecution or ():
            yield preferred.podAffinityTerm
