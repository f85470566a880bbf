"""IngressClass: a controller of Ingresses, and its settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, NONE
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Model, Required
from apimachinery.names import dns_label_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.networking._group import GROUP, check_reference

DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
_CLUSTER, _NAMESPACE = "Cluster", "Namespace"
_MOST_CONTROLLER_BYTES = 250


class IngressClassParametersReference(Model, protobuf="apiGroup* kind name scope* namespace*"):
    """Names the object that holds a controller's settings."""

    apiGroup: Annotated[str | None, Required(False)] = None
    """The API group of that object's kind; absent for the core group."""
    kind: str = ""
    """The kind of that object."""
    name: str = ""
    """The name of that object."""
    scope: str | None = _CLUSTER
    """The scope of that object: Cluster (the default) or Namespace."""
    namespace: str | None = None
    """The namespace of that object, with the scope Namespace."""


class IngressClassSpec(Model, protobuf="controller parameters"):
    """The controller of a class."""

    controller: str | None = None
    """The name of the controller, as a path with a domain: example.com/ingress-controller. It can't be changed."""
    parameters: IngressClassParametersReference | None = None
    """The object with further settings, if the controller has any."""


class IngressClass(Object, protobuf="metadata spec"):
    """A class of Ingresses, which name it in spec.ingressClassName. Those that name none are of the class with the
    annotation ingressclass.kubernetes.io/is-default-class: "true"."""

    spec: IngressClassSpec = Field(default_factory=IngressClassSpec)
    """The controller, and its settings."""


class IngressClassStrategy(Strategy[IngressClass]):
    """Source: Kubernetes documentation, "Ingress", "Ingress class"."""

    def validate(self, obj: IngressClass) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        errors.check_domain_path(("spec", "controller"), spec.controller or "", _MOST_CONTROLLER_BYTES)
        if spec.parameters is not None:
            _check_parameters(errors, ("spec", "parameters"), spec.parameters)
        return errors

    def validate_update(self, obj: IngressClass, old: IngressClass) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(("spec", "controller"), obj.spec.controller, old.spec.controller)
        return errors


def _check_parameters(errors: Errors, path: Path, parameters: IngressClassParametersReference) -> None:
    check_reference(errors, path, parameters.apiGroup or "", parameters.kind, parameters.name)
    errors.check_one_of((*path, "scope"), parameters.scope, (_CLUSTER, _NAMESPACE))
    at, namespace = (*path, "namespace"), parameters.namespace
    if parameters.scope == _NAMESPACE:
        if namespace is None:
            errors.required(at, "`parameters.scope` is set to 'Namespace'")
        else:
            errors.check_messages(at, namespace, dns_label_errors(namespace))
    elif parameters.scope == _CLUSTER and namespace is not None:
        errors.forbidden(at, "`parameters.scope` is set to 'Cluster'")


def _parameters_text(obj: IngressClass, now: float) -> str:
    """The object with the settings: "Kind.group/name"."""
    parameters = obj.spec.parameters
    if parameters is None:
        return NONE
    group = f".{parameters.apiGroup}" if parameters.apiGroup else ""
    return f"{parameters.kind}{group}/{parameters.name}"


RESOURCE = Resource(
    kind="IngressClass",
    plural="ingressclasses",
    model=IngressClass,
    group=GROUP,
    namespaced=False,
    strategy=IngressClassStrategy(),
    columns=(
        NAME,
        Column("Controller", lambda obj, now: obj.spec.controller or "", "The controller of its Ingresses."),
        Column("Parameters", _parameters_text, "The object with the controller's settings."),
        AGE,
    ),
)
