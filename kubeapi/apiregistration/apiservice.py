"""APIService: who serves a version of an API group, this API server or a Service of the cluster."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.conditions import get_condition
from apimachinery.errors import FieldError
from apimachinery.meta import Object, StatusCondition
from apimachinery.model import Base64, Int32, ListMapKeys, MergeKey, Model, Required
from apimachinery.names import dns_1035_label_errors, dns_subdomain_errors, path_segment_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors

GROUP = "apiregistration.k8s.io"
AVAILABLE = "Available"
LOCAL = "Local"
_DEFAULT_PORT = 443
_MAX_GROUP_PRIORITY, _MAX_VERSION_PRIORITY = 20000, 1000


class ServiceReference(Model, protobuf="namespace name port*"):
    """A Service that serves an API by HTTPS."""

    namespace: str | None = None
    """The namespace of the Service."""
    name: str | None = None
    """The name of the Service."""
    port: Int32 | None = None
    """The port of the Service. Default: 443."""


class APIServiceSpec(
    Model,
    protobuf="service* group version insecureSkipTLSVerify caBundle - groupPriorityMinimum versionPriority",
):
    """Where the version is served, and how clients rank it."""

    service: ServiceReference | None = None
    """The Service to which requests go. Absent: this API server answers them."""
    group: str | None = None
    """The API group; empty for the core group."""
    version: str | None = None
    """The version of the group."""
    insecureSkipTLSVerify: bool | None = None
    """Whether any certificate of the Service is taken. Not together with `caBundle`."""
    caBundle: Base64 | None = None
    """The authorities of the Service's certificate, in PEM and base64. Default: those that this API server trusts."""
    groupPriorityMinimum: Annotated[Int32, Required()] = 0
    """The least rank of the group: clients prefer groups of higher rank. 1 to 20000."""
    versionPriority: Annotated[Int32, Required()] = 0
    """The rank of this version in its group: clients prefer the highest. 1 to 1000."""


class APIServiceCondition(StatusCondition, protobuf="type status lastTransitionTime reason message"):
    """An observation of an APIService."""

    type: str = ""
    """The aspect of the version: Available."""


class APIServiceStatus(Model, protobuf="conditions"):
    """Whether the version can be reached."""

    conditions: Annotated[list[APIServiceCondition], MergeKey("type"), ListMapKeys("type")] | None = None
    """Observations; the type Available tells whether requests are passed on."""


class APIService(Object, protobuf="metadata spec status"):
    """Says who serves a version of an API group. Its name is VERSION.GROUP."""

    spec: APIServiceSpec = Field(default_factory=APIServiceSpec)
    """Where the version is served, and how clients rank it."""
    status: APIServiceStatus = Field(default_factory=APIServiceStatus)
    """Whether the version can be reached; the API server fills it in."""


class APIServiceStrategy(Strategy[APIService]):
    """Source: Kubernetes documentation, "Kubernetes API Aggregation Layer"."""

    generation_tracks_spec = False
    plain_finalizers = True
    allow_unconditional_update = False

    def default(self, obj: APIService) -> None:
        if obj.spec.service is not None and obj.spec.service.port is None:
            obj.spec.service.port = _DEFAULT_PORT

    def prepare_create(self, obj: APIService) -> None:
        obj.metadata.generation = None
        if obj.spec.service is None:
            obj.status = APIServiceStatus(conditions=[local_condition(obj)])

    def validate_name(self, name: str) -> list[str]:
        return path_segment_errors(name)

    def validate(self, obj: APIService) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        group, version, service = spec.group or "", spec.version or "", spec.service
        if obj.name != f"{version}.{group}":
            text = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
            errors.invalid(("metadata", "name"), obj.name, text)
        if not (version == "v1" and not group):
            errors.check_messages(("spec", "group"), group, dns_subdomain_errors(group))
        errors.check_messages(("spec", "version"), version, dns_1035_label_errors(version))
        if not 0 < spec.groupPriorityMinimum <= _MAX_GROUP_PRIORITY:
            text = f"must be positive and less than {_MAX_GROUP_PRIORITY}"
            errors.invalid(("spec", "groupPriorityMinimum"), spec.groupPriorityMinimum, text)
        if not 0 < spec.versionPriority <= _MAX_VERSION_PRIORITY:
            text = f"must be positive and less than {_MAX_VERSION_PRIORITY}"
            errors.invalid(("spec", "versionPriority"), spec.versionPriority, text)
        if service is None:
            if spec.caBundle:
                errors.invalid(
                    ("spec", "caBundle"), f"{len(spec.caBundle)} bytes", "local APIServices may not have a caBundle"
                )
            if spec.insecureSkipTLSVerify:
                text = "local APIServices may not have insecureSkipTLSVerify"
                errors.invalid(("spec", "insecureSkipTLSVerify"), True, text)
            return errors
        if not service.namespace:
            errors.required(("spec", "service", "namespace"))
        if not service.name:
            errors.required(("spec", "service", "name"))
        if service.port is not None and not 1 <= service.port <= 65535:
            text = "port is not valid: must be between 1 and 65535, inclusive"
            errors.invalid(("spec", "service", "port"), service.port, text)
        if spec.insecureSkipTLSVerify and spec.caBundle:
            errors.invalid(("spec", "insecureSkipTLSVerify"), True, "may not be true if caBundle is present")
        return errors

    def validate_status_update(self, obj: APIService, old: APIService) -> list[FieldError]:
        errors = Errors()
        for index, condition in enumerate(obj.status.conditions or ()):
            path = ("status", "conditions", index, "status")
            if condition.status not in ("True", "False", "Unknown"):
                errors.not_supported(path, condition.status, ("False", "True", "Unknown"))
        return errors


def local_condition(obj: APIService) -> APIServiceCondition:
    """Returns the condition of a new version that this API server itself answers for."""
    condition = APIServiceCondition(
        type=AVAILABLE, status="True", reason=LOCAL, message="Local APIServices are always available"
    )
    condition.lastTransitionTime = obj.metadata.creationTimestamp or ""
    return condition


def _service(obj: APIService, now: float) -> str:
    service = obj.spec.service
    return LOCAL if service is None else f"{service.namespace}/{service.name}"


def _available(obj: APIService, now: float) -> str:
    condition = get_condition(obj.status.conditions, AVAILABLE)
    if condition is None:
        return "Unknown"
    return condition.status if condition.status == "True" else f"{condition.status} ({condition.reason})"


RESOURCE = Resource(
    kind="APIService",
    plural="apiservices",
    model=APIService,
    group=GROUP,
    namespaced=False,
    categories=("api-extensions",),
    strategy=APIServiceStrategy(),
    columns=(
        NAME,
        Column("Service", _service, "The Service that serves the version, or Local."),
        Column("Available", _available, "Whether the version can be reached."),
        AGE,
    ),
    status=True,
)
