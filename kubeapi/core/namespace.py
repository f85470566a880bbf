"""Namespace: a scope for names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object, StatusCondition
from apimachinery.model import MergeKey, Model
from apimachinery.names import dns_label_errors, qualified_name_errors
from apimachinery.resource import ALL_VERBS, Column, Resource, Strategy
from apimachinery.validation import Errors, Path


class NamespaceSpec(Model, protobuf="finalizers"):
    """The desired state of a namespace."""

    finalizers: list[str] | None = None
    """Names of the work to be done before the namespace is removed; kubernetes stands for the deletion of its
    content."""


class NamespaceCondition(StatusCondition, protobuf="type status - lastTransitionTime reason message"):
    """A condition of a namespace that is being deleted."""

    type: str = ""
    """The aspect of the deletion, such as NamespaceContentRemaining."""


class NamespaceStatus(Model, protobuf="phase conditions"):
    """The observed state of a namespace."""

    phase: str | None = None
    """Active, or Terminating while its content is being deleted."""
    conditions: Annotated[list[NamespaceCondition], MergeKey("type")] | None = None
    """The conditions that hold up the deletion."""


class Namespace(Object, protobuf="metadata spec status"):
    """A scope for names: objects in different namespaces may have the same name."""

    spec: NamespaceSpec = Field(default_factory=NamespaceSpec)
    """The finalizers of the namespace."""
    status: NamespaceStatus = Field(default_factory=NamespaceStatus)
    """Whether the namespace is in use or being deleted."""


NAME_LABEL = "kubernetes.io/metadata.name"
KUBERNETES = "kubernetes"  # the finalizer that the namespace controller takes away once the namespace is empty


class NamespaceStrategy(Strategy[Namespace]):
    """Source: Kubernetes documentation, "Namespaces"."""

    generation_tracks_spec = False

    def default(self, obj: Namespace) -> None:
        if obj.metadata.name:
            obj.metadata.labels = {**obj.labels, NAME_LABEL: obj.metadata.name}

    def prepare_create(self, obj: Namespace) -> None:
        self.default(obj)  # the name may have been generated
        finalizers = obj.spec.finalizers or []
        obj.spec.finalizers = finalizers if KUBERNETES in finalizers else [*finalizers, KUBERNETES]
        obj.status = NamespaceStatus(phase="Active")

    def prepare_update(self, obj: Namespace, old: Namespace) -> None:
        obj.spec.finalizers = old.spec.finalizers

    def validate_create(self, obj: Namespace) -> list[FieldError]:
        errors = Errors()
        for name in obj.spec.finalizers or ():
            _check_finalizer(errors, ("spec", "finalizers"), name)  # upstream names the index at finalize alone
        return errors

    def validate_subresource_update(self, obj: Namespace, old: Namespace, subresource: str) -> list[FieldError]:
        errors = Errors()
        for index, name in enumerate(obj.spec.finalizers or ()):
            _check_finalizer(errors, ("spec", "finalizers", index), name)
        return errors

    def validate_status_update(self, obj: Namespace, old: Namespace) -> list[FieldError]:
        errors = Errors()
        phase = obj.status.phase or ""
        if obj.metadata.deletionTimestamp is None and phase != "Active":
            errors.invalid(("status", "phase"), phase, "may only be 'Active' if `deletionTimestamp` is empty")
        elif obj.metadata.deletionTimestamp is not None and phase != "Terminating":
            text = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            errors.invalid(("status", "phase"), phase, text)
        return errors

    def validate_name(self, name: str) -> list[str]:
        return dns_label_errors(name)


def _check_finalizer(errors: Errors, path: Path, name: str) -> None:
    errors.check_messages(path, name, qualified_name_errors(name))
    if "/" not in name and name != KUBERNETES:
        errors.invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified")


RESOURCE = Resource(
    kind="Namespace",
    plural="namespaces",
    model=Namespace,
    namespaced=False,
    short_names=("ns",),
    strategy=NamespaceStrategy(),
    columns=(
        NAME,
        Column("Status", lambda obj, now: obj.status.phase or "", "The namespace's phase."),
        AGE,
    ),
    fields={"status.phase": lambda obj: obj.status.phase or ""},
    status=True,
    verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
)
