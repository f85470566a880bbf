"""StorageClass: a way of making volumes for claims."""

from __future__ import annotations

from collections.abc import Mapping

from apimachinery.columns import AGE
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.names import qualified_name_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core.pod.scheduling.affinity import TopologySelectorTerm

GROUP = "storage.k8s.io"
DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
IMMEDIATE, WAIT_FOR_FIRST_CONSUMER = "Immediate", "WaitForFirstConsumer"
_RECLAIM_POLICIES = ("Delete", "Retain")
_BINDING_MODES = (IMMEDIATE, WAIT_FOR_FIRST_CONSUMER)
_MOST_PARAMETERS = 512
_MOST_PARAMETER_BYTES = 256 * 1024


class StorageClass(
    Object,
    protobuf="metadata provisioner parameters reclaimPolicy* mountOptions allowVolumeExpansion* volumeBindingMode* "
    "allowedTopologies",
):
    """Describes the volumes that a provisioner makes for claims of the class, in the administrator's words."""

    provisioner: str = ""
    """The name of the provisioner, such as rancher.io/local-path. It can't be changed."""
    parameters: dict[str, str] | None = None
    """Settings for the provisioner. They can't be changed."""
    reclaimPolicy: str | None = "Delete"
    """What happens to a volume of the class when its claim is gone: Delete (the default) or Retain."""
    mountOptions: list[str] | None = None
    """Options with which volumes of the class are mounted. A wrong one makes the mount fail."""
    allowVolumeExpansion: bool | None = None
    """Whether claims of the class can grow."""
    volumeBindingMode: str | None = IMMEDIATE
    """When a claim gets its volume: Immediate (the default), or WaitForFirstConsumer for when a pod needs it."""
    allowedTopologies: list[TopologySelectorTerm] | None = None
    """The nodes for which volumes can be made. Default: all."""


class StorageClassStrategy(Strategy[StorageClass]):
    """Source: Kubernetes documentation, "Storage Classes"."""

    def validate(self, obj: StorageClass) -> list[FieldError]:
        errors = Errors()
        errors.check_name(("provisioner",), obj.provisioner, lambda name: qualified_name_errors(name.lower()))
        check_parameters(errors, ("parameters",), obj.parameters, may_be_empty=True)
        errors.check_one_of(("reclaimPolicy",), obj.reclaimPolicy, _RECLAIM_POLICIES)
        errors.check_one_of(("volumeBindingMode",), obj.volumeBindingMode, _BINDING_MODES)
        _check_topologies(errors, obj.allowedTopologies or [])
        return errors

    def validate_update(self, obj: StorageClass, old: StorageClass) -> list[FieldError]:
        errors = Errors()
        for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
            errors.check_immutable((field,), getattr(obj, field), getattr(old, field))
        return errors


def is_default_class(obj: StorageClass) -> bool:
    """Tells whether claims that name no class are of this one."""
    return any(obj.annotations.get(key) == "true" for key in DEFAULT_ANNOTATIONS)


def check_parameters(
    errors: Errors, path: tuple[str], parameters: Mapping[str, str] | None, *, may_be_empty: bool
) -> None:
    """Checks the parameters of a class, which share 256 KiB."""
    if not parameters:
        if not may_be_empty:
            errors.required(path, "must contain at least one key/value pair")
        return
    if len(parameters) > _MOST_PARAMETERS:
        errors.too_long(path, _MOST_PARAMETERS)
        return
    if "" in parameters:
        errors.invalid(path, "", "field can not be empty.")
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > _MOST_PARAMETER_BYTES:
        errors.too_long(path, _MOST_PARAMETER_BYTES)


def _check_topologies(errors: Errors, terms: list[TopologySelectorTerm]) -> None:
    """Checks the terms: each differs from those before it, whatever the order of its values; an empty one equals
    nothing, which upstream calls a duplicate."""
    known: list[dict[str, frozenset[str]]] = [{}]
    for index, term in enumerate(terms):
        path = ("allowedTopologies", index, "matchLabelExpressions")
        labels: dict[str, frozenset[str]] = {}
        for number, expression in enumerate(term.matchLabelExpressions or ()):
            at = (*path, number)
            if not expression.values:
                errors.required((*at, "values"))
            for place, value in enumerate(expression.values):
                if value in expression.values[:place]:
                    errors.duplicate((*at, "values", place), value)
            errors.check_messages((*at, "key"), expression.key, qualified_name_errors(expression.key))
            if expression.key in labels:
                errors.duplicate((*at, "key"), expression.key)
            labels[expression.key] = frozenset(expression.values)
        if labels in known:
            errors.duplicate(path, "")
        known.append(labels)


def _name(obj: StorageClass, now: float) -> str:
    return f"{obj.name} (default)" if is_default_class(obj) else obj.name


RESOURCE = Resource(
    kind="StorageClass",
    plural="storageclasses",
    model=StorageClass,
    group=GROUP,
    namespaced=False,
    short_names=("sc",),
    strategy=StorageClassStrategy(),
    returned_on_delete=True,
    columns=(
        Column("Name", _name, "The class; claims that name none are of the default one.", format="name"),
        Column("Provisioner", lambda obj, now: obj.provisioner, "The provisioner of its volumes."),
        Column(
            "ReclaimPolicy",
            lambda obj, now: obj.reclaimPolicy or "Delete",
            "What happens to a volume when its claim is gone.",
        ),
        Column(
            "VolumeBindingMode", lambda obj, now: obj.volumeBindingMode or "<unset>", "When a claim gets its volume."
        ),
        Column("AllowVolumeExpansion", lambda obj, now: bool(obj.allowVolumeExpansion), "Whether claims can grow."),
        AGE,
    ),
)
