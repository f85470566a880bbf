"""DefaultIngressClass: an Ingress that names no class is of the default class, if there is one.

Source: Kubernetes documentation, "Ingress", "Default Ingress class".
"""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin
from kubeapi.networking._group import GROUP
from kubeapi.networking.ingress import CLASS_ANNOTATION, Ingress
from kubeapi.networking.ingressclass import DEFAULT_ANNOTATION, IngressClass


def admit(attributes: Attributes, lookup: Lookup) -> None:
    ingress: Ingress = attributes.obj
    if ingress.spec.ingressClassName is None and CLASS_ANNOTATION not in ingress.annotations:
        ingress.spec.ingressClassName = lookup.derived(lookup.resource("ingressclasses", GROUP), _default)


def _default(classes: list[IngressClass]) -> str | None:
    """Returns the default class; of several the newest, of equals the first by name."""
    defaults = [item for item in classes if item.annotations.get(DEFAULT_ANNOTATION) == "true"]
    defaults.sort(key=lambda item: item.name)
    newest = max(defaults, key=lambda item: item.metadata.creationTimestamp or "", default=None)
    return newest.name if newest else None


ADMISSION = Plugin("DefaultIngressClass", frozenset({CREATE}), frozenset({f"ingresses.{GROUP}"}), mutate=admit)
