"""LimitRanger: containers get the defaults of their namespace, and pods and claims stay within its bounds.

Source: Kubernetes documentation, "Limit Ranges".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from apimachinery.errors import join_errors
from apimachinery.model import decode
from apimachinery.splice import split_owners
from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, refused, spec_of
from apiserver.admission.limits._bounds import claim_refusals, pod_refusals, set_defaults
from kubeapi.core.limitrange import LimitRange

CLAIMS = "persistentvolumeclaims"


def admit(attributes: Attributes, lookup: Lookup) -> None:
    if attributes.resource.plural != CLAIMS:
        for limits in _limits(attributes, lookup):
            set_defaults(limits, attributes.obj)


def check(attributes: Attributes, lookup: Lookup) -> None:
    for limits in _limits(attributes, lookup):
        if attributes.resource.plural == CLAIMS:
            texts = claim_refusals(limits, spec_of(attributes.obj).resources.requests or {})
        else:
            texts = pod_refusals(limits, attributes.obj)
        if texts:
            raise refused(attributes, join_errors(texts))


def _limits(attributes: Attributes, lookup: Lookup) -> Iterator[LimitRange]:
    """Yields the LimitRanges that the object has to keep to: none for one that is being deleted, and for an update of a
    pod, whose containers stay as they are unless they are resized."""
    is_pod = attributes.resource.plural != CLAIMS
    if is_pod and attributes.operation == UPDATE and not attributes.subresource:
        return
    if attributes.old is not None and attributes.old.metadata.deletionTimestamp is not None:
        return
    for entry in lookup.in_namespace("limitranges", attributes.namespace):
        yield _decoded(entry.value)


@lru_cache(maxsize=256)
def _decoded(value: bytes) -> LimitRange:
    """A LimitRange changes rarely, and every pod of its namespace needs it."""
    return decode(LimitRange, split_owners(value)[0])


ADMISSION = Plugin(
    "LimitRanger",
    frozenset({CREATE, UPDATE}),
    frozenset({"pods", "pods/resize", CLAIMS}),
    mutate=admit,
    validate=check,
)
