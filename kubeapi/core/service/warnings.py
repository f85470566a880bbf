"""Warnings about settings of a Service that are ignored beside others, or have a successor.

Source: the warnings `kubectl apply` shows.
"""

from __future__ import annotations

from kubeapi.core.service.headless import HEADLESS
from kubeapi.core.service.model import ServiceSpec


def service_warnings(spec: ServiceSpec) -> list[str]:
    warnings: list[str] = []
    if spec.type == "ClusterIP" and spec.clusterIP == HEADLESS:
        ignored = {
            "loadBalancerIP": bool(spec.loadBalancerIP),
            "externalIPs": bool(spec.externalIPs),
            "SessionAffinity": spec.sessionAffinity != "None",
        }
        warnings += [f"spec.{name} is ignored for headless services" for name, is_set in ignored.items() if is_set]
    if spec.externalIPs:
        warnings.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
        if spec.type == "ExternalName":
            warnings.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.type != "ExternalName" and spec.externalName:
        warnings.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.trafficDistribution == "PreferClose":
        warnings.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return warnings
