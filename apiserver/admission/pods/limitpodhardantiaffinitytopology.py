"""LimitPodHardAntiAffinityTopology: a pod can keep others away from its node, but not from a whole zone.

Source: Kubernetes documentation, "Admission Controllers: LimitPodHardAntiAffinityTopology".
"""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, refused, spec_of

HOSTNAME = "kubernetes.io/hostname"


def check(attributes: Attributes, lookup: Lookup) -> None:
    affinity = spec_of(attributes.obj).affinity
    if affinity is None or affinity.podAntiAffinity is None:
        return
    for term in affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution or ():
        if term.topologyKey != HOSTNAME:
            why = (
                "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey "
                f"{term.topologyKey} but only key {HOSTNAME} is allowed"
            )
            raise refused(attributes, why)


ADMISSION = Plugin(
    "LimitPodHardAntiAffinityTopology",
    frozenset({CREATE, UPDATE}),
    frozenset({"pods"}),
    validate=check,
    on_by_default=False,
)
