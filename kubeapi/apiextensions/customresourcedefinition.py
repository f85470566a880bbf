"""CustomResourceDefinition: a kind that is added to the cluster at run time."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import NAME
from apimachinery.fields.fieldtypes import Message, OwnFields
from apimachinery.meta import Object, StatusCondition
from apimachinery.model import Atomic, Base64, Int32, ListMapKeys, Model, OneOf, Required
from apimachinery.resource import Column, Resource, Strategy
from kubeapi.apiextensions._schema import decode_schema, unknown_fields

GROUP = "apiextensions.k8s.io"
NAMESPACED, CLUSTER = "Namespaced", "Cluster"
NONE, WEBHOOK = "None", "Webhook"
NAMES_ACCEPTED, ESTABLISHED, TERMINATING = "NamesAccepted", "Established", "Terminating"
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
DEFAULT_PORT = 443


class CustomResourceDefinitionNames(Model, protobuf="plural singular shortNames kind listKind categories"):
    """The names under which the API and its clients know the kind."""

    plural: str = ""
    """The name in URLs: the plural, in lower case. The definition's own name is this and the group behind a dot."""
    singular: str | None = None
    """The name for one object, in lower case. Default: the kind in lower case."""
    shortNames: Annotated[list[str], Atomic()] | None = None
    """Short names for command lines, in lower case."""
    kind: Annotated[str, Required()] = ""
    """The kind of the objects, in CamelCase and the singular."""
    listKind: str | None = None
    """The kind of lists of the objects. Default: the kind with "List" behind it."""
    categories: Annotated[list[str], Atomic()] | None = None
    """Groups of kinds that clients list at once, such as `all`."""


class CustomResourceValidation(Model, protobuf="openAPIV3Schema*"):
    """The schema of the objects."""

    openAPIV3Schema: Annotated[dict[str, object], OwnFields(unknown_fields), Message("JSONSchemaProps")] | None = None
    """A structural schema, in the form of OpenAPI v3: what objects may hold, which defaults they get, and which rules
    they keep."""


class CustomResourceSubresourceStatus(Model):
    """Says that objects have a status, which is written by a subresource of its own."""


class CustomResourceSubresourceScale(Model, protobuf="specReplicasPath statusReplicasPath labelSelectorPath*"):
    """The fields behind the scale subresource."""

    specReplicasPath: str = ""
    """The JSONPath of the wanted number of replicas, below `.spec`, without lists."""
    statusReplicasPath: str = ""
    """The JSONPath of the observed number of replicas, below `.status`, without lists."""
    labelSelectorPath: str | None = None
    """The JSONPath of the selector of the pods, as a string, below `.status` or `.spec`."""


class CustomResourceSubresources(Model, protobuf="status scale"):
    """The subresources of the objects."""

    status: CustomResourceSubresourceStatus | None = None
    """If set, `status` is written by its subresource alone, and anything else raises `metadata.generation`."""
    scale: CustomResourceSubresourceScale | None = None
    """If set, objects have a scale, which autoscalers and `kubectl scale` use."""


class CustomResourceColumnDefinition(Model, protobuf="name type format description priority jsonPath"):
    """A column of what `kubectl get` prints."""

    name: str = ""
    """The head of the column."""
    type: str = ""
    """integer, number, string, boolean or date."""
    format: str | None = None
    """A hint about the type: int32, int64, float, double, byte, date, date-time or password."""
    description: str | None = None
    """What the column shows."""
    priority: Int32 | None = None
    """0 for a column that is always shown, more for one of wide output."""
    jsonPath: str = ""
    """Where the value is in an object."""


class SelectableField(Model, protobuf="jsonPath"):
    """A field that lists and watches can be narrowed by."""

    jsonPath: str = ""
    """The JSONPath of a string, number or flag, without lists. Field selectors name it without its first dot."""


class CustomResourceDefinitionVersion(
    Model,
    protobuf="name served storage schema subresources additionalPrinterColumns deprecated deprecationWarning* "
    "selectableFields",
):
    """One version of the kind."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str = ""
    """The name of the version, such as v1 or v2beta1."""
    served: bool = False
    """Whether the API serves this version."""
    storage: bool = False
    """Whether objects are stored in this version. Exactly one is."""
    deprecated: bool | None = None
    """Whether clients of this version are warned."""
    deprecationWarning: str | None = None
    """The warning that they get. Default: one that names the version and the kind."""
    schema_: CustomResourceValidation | None = Field(default=None, alias="schema")
    """The schema of the objects."""
    subresources: CustomResourceSubresources | None = None
    """The subresources of the objects."""
    additionalPrinterColumns: Annotated[list[CustomResourceColumnDefinition], Atomic()] | None = None
    """The columns of what `kubectl get` prints behind the name. Default: the age."""
    selectableFields: Annotated[list[SelectableField], Atomic()] | None = None
    """The fields that lists and watches can be narrowed by, at most 8."""


class ServiceReference(Model, protobuf="namespace name path* port*"):
    """A Service of the cluster."""

    namespace: str = ""
    """The namespace of the Service."""
    name: str = ""
    """The name of the Service."""
    path: str | None = None
    """The path of the URL to call."""
    port: Int32 | None = None
    """The port of the Service. Default: 443."""


class WebhookClientConfig(Model, protobuf="service caBundle url*"):
    """Where a webhook is, by a Service or a URL."""

    url: str | None = None
    """The URL of the webhook, https://…, for one outside the cluster."""
    service: ServiceReference | None = None
    """The Service of the webhook."""
    caBundle: Base64 | None = None
    """The authorities that may have signed the webhook's certificate, in PEM, in base64. Default: those of the API
    server's host."""


class WebhookConversion(Model, protobuf="- clientConfig conversionReviewVersions"):
    """Describes how to call a conversion webhook."""

    clientConfig: WebhookClientConfig | None = None
    """Where the webhook is."""
    conversionReviewVersions: Annotated[list[str], Atomic(), NullIfEmpty()] = Field(default_factory=list)
    """The versions of ConversionReview that the webhook understands, in its order of preference."""


class CustomResourceConversion(Model, protobuf="strategy webhook"):
    """How objects are brought from one version into another."""

    strategy: str = ""
    """None changes `apiVersion` alone, Webhook asks a webhook."""
    webhook: WebhookConversion | None = None
    """The webhook, for the strategy Webhook."""


class CustomResourceDefinitionSpec(
    Model, protobuf="group - names scope - - versions - conversion preserveUnknownFields"
):
    """The kind that is wanted."""

    group: str = ""
    """The API group of the kind. It can't be changed once the kind is served."""
    names: Annotated[CustomResourceDefinitionNames, Required()] = Field(default_factory=CustomResourceDefinitionNames)
    """The names of the kind."""
    scope: Annotated[str, OneOf(NAMESPACED, CLUSTER)] = ""
    """Namespaced, or Cluster for objects without a namespace. It can't be changed once the kind is served."""
    versions: Annotated[list[CustomResourceDefinitionVersion], Atomic(), NullIfEmpty(), Required()] = Field(
        default_factory=list
    )
    """The versions of the kind. Clients prefer stable ones to beta and alpha, and newer ones to older."""
    conversion: CustomResourceConversion | None = None
    """How objects are brought from one version into another. Default: the strategy None."""
    preserveUnknownFields: bool | None = None
    """Must be false: unknown fields are kept where the schema says so."""


class CustomResourceDefinitionCondition(StatusCondition, protobuf="type status lastTransitionTime reason message"):
    """An aspect of the definition."""

    type: str = ""
    """NamesAccepted, Established, Terminating, NonStructuralSchema."""


class CustomResourceDefinitionStatus(Model, protobuf="conditions acceptedNames storedVersions"):
    """What has become of the definition."""

    conditions: Annotated[list[CustomResourceDefinitionCondition], ListMapKeys("type"), NullIfEmpty()] = Field(
        default_factory=list
    )
    """Whether the names are free, and whether the kind is served."""
    acceptedNames: CustomResourceDefinitionNames = Field(default_factory=CustomResourceDefinitionNames)
    """The names under which the kind is served."""
    storedVersions: Annotated[list[str], Atomic(), NullIfEmpty()] = Field(default_factory=list)
    """All versions in which objects may be stored. One can be removed once no object is, and then leave the spec."""


class CustomResourceDefinition(Object, protobuf="metadata spec status"):
    """A kind that is added to the cluster at run time."""

    spec: Annotated[CustomResourceDefinitionSpec, Required()] = Field(default_factory=CustomResourceDefinitionSpec)
    """The kind that is wanted."""
    status: CustomResourceDefinitionStatus = Field(default_factory=CustomResourceDefinitionStatus)
    """What has become of it."""


class CustomResourceDefinitionStrategy(Strategy[CustomResourceDefinition]):
    """What a definition may say is checked by the API server, which has the schemas (`apiserver/apiextensions/`).

    Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions".
    """

    compiles = True

    def default(self, obj: CustomResourceDefinition) -> None:
        spec, names = obj.spec, obj.spec.names
        names.singular = names.singular or names.kind.lower() or None
        if not names.listKind and names.kind:
            names.listKind = names.kind + "List"
        spec.conversion = spec.conversion or CustomResourceConversion()
        spec.conversion.strategy = spec.conversion.strategy or NONE
        hook = spec.conversion.webhook
        if hook and hook.clientConfig and hook.clientConfig.service:
            hook.clientConfig.service.port = hook.clientConfig.service.port or DEFAULT_PORT

    def prepare_create(self, obj: CustomResourceDefinition) -> None:
        _tidy_schemas(obj)
        _note_storage_version(obj)

    def prepare_update(self, obj: CustomResourceDefinition, old: CustomResourceDefinition) -> None:
        _tidy_schemas(obj)
        if obj.spec != old.spec:
            obj.status = old.status.clone()
            _note_storage_version(obj)


def storage_version(obj: CustomResourceDefinition) -> str:
    """The version that objects are stored in; "" where none is."""
    return next((version.name for version in obj.spec.versions if version.storage), "")


def _tidy_schemas(obj: CustomResourceDefinition) -> None:
    """Raises: BadRequest for a schema that isn't one."""
    for index, version in enumerate(obj.spec.versions):
        if version.schema_ is not None and version.schema_.openAPIV3Schema is not None:
            decode_schema(version.schema_.openAPIV3Schema, f"spec.versions[{index}].schema.openAPIV3Schema")


def _note_storage_version(obj: CustomResourceDefinition) -> None:
    version, stored = storage_version(obj), obj.status.storedVersions
    if version and version not in stored:
        obj.status.storedVersions = [*stored, version]


RESOURCE = Resource(
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    model=CustomResourceDefinition,
    group=GROUP,
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    status=True,
    strategy=CustomResourceDefinitionStrategy(),
    returned_on_delete=True,
    columns=(
        NAME,
        Column("Created At", lambda obj, now: obj.metadata.creationTimestamp, "The creation time.", "date"),
    ),
)
