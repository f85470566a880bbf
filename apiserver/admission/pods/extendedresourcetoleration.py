"""ExtendedResourceToleration: a pod that asks for a vendor's resource tolerates the taint of that name, which keeps
other pods off the nodes that have it.

Source: Kubernetes documentation, "Admission Controllers: ExtendedResourceToleration".
"""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, spec_of
from kubeapi.core.pod.scheduling.affinity import Toleration
from kubeapi.core.pod.scheduling.tolerations import merged
from kubeapi.core.pod.validation.resources import is_extended


def admit(attributes: Attributes, lookup: Lookup) -> None:
    spec = spec_of(attributes.obj)
    names = {
        name
        for container in (*spec.containers, *(spec.initContainers or ()))
        for name in container.resources.requests or ()
        if is_extended(name)
    }
    if names:
        added = [Toleration(key=name, operator="Exists", effect="NoSchedule") for name in sorted(names)]
        spec.tolerations = merged([*(spec.tolerations or ()), *added])


ADMISSION = Plugin(
    "ExtendedResourceToleration",
    frozenset({CREATE, UPDATE}),
    frozenset({"pods"}),
    mutate=admit,
    on_by_default=False,
)
