"""RuntimeClass: the choice of a container runtime."""

from __future__ import annotations

from typing import Annotated

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Atomic, Model
from apimachinery.names import dns_label_errors
from apimachinery.quantity import ResourceList
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core.pod.scheduling.affinity import Toleration
from kubeapi.core.pod.validation.affinity import check_tolerations
from kubeapi.core.pod.validation.resources import check_overhead


class Overhead(Model, protobuf="podFixed"):
    """The resources that a pod costs beyond its containers."""

    podFixed: ResourceList | None = None
    """The resources that every pod of the class needs in addition to those of its containers."""


class Scheduling(Model, protobuf="nodeSelector tolerations"):
    """The nodes that can run pods of the class."""

    nodeSelector: Annotated[dict[str, str], Atomic()] | None = None
    """Labels that a node must have. They are added to the pod's own node selector and must not contradict it."""
    tolerations: list[Toleration] | None = None
    """Taints that pods of the class tolerate, in addition to their own tolerations."""


class RuntimeClass(Object, protobuf="metadata handler overhead scheduling"):
    """A container runtime that nodes offer and pods select by `runtimeClassName`."""

    handler: str = ""
    """The configuration of the node's container runtime that runs the pod. It can't be changed."""
    overhead: Overhead | None = None
    """The resources that a pod of the class costs beyond its containers; the scheduler and quotas count them."""
    scheduling: Scheduling | None = None
    """The nodes that can run pods of the class; all nodes when absent."""


class RuntimeClassStrategy(Strategy[RuntimeClass]):
    """Source: Kubernetes documentation, "Runtime Class"."""

    allow_unconditional_update = False

    def validate(self, obj: RuntimeClass) -> list[FieldError]:
        errors = Errors()
        errors.check_name(("handler",), obj.handler, dns_label_errors)
        if obj.overhead is not None:
            check_overhead(errors, ("overhead", "limits"), obj.overhead.podFixed)
        if obj.scheduling is not None:
            errors.check_labels(("scheduling", "nodeSelector"), obj.scheduling.nodeSelector)
            tolerations = obj.scheduling.tolerations or []
            check_tolerations(errors, ("scheduling", "tolerations"), tolerations)
            for index, toleration in enumerate(tolerations):
                if toleration in tolerations[:index]:
                    document = toleration.model_dump(mode="json", exclude_none=True)
                    errors.duplicate(("scheduling", "tolerations", index), document)
        return errors

    def validate_update(self, obj: RuntimeClass, old: RuntimeClass) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(("handler",), obj.handler, old.handler)
        return errors


RESOURCE = Resource(
    kind="RuntimeClass",
    plural="runtimeclasses",
    model=RuntimeClass,
    group="node.k8s.io",
    namespaced=False,
    strategy=RuntimeClassStrategy(),
    columns=(
        NAME,
        Column("Handler", lambda obj, now: obj.handler, "The configuration of the node's runtime."),
        AGE,
    ),
)
