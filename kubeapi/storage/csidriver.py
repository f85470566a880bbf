"""CSIDriver: how the cluster is to treat a storage driver."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int64, ListMapKeys, Model, Required
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.storage.storageclass import GROUP

PERSISTENT, EPHEMERAL = "Persistent", "Ephemeral"
_MODES = (PERSISTENT, EPHEMERAL)
_FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_MIN_TOKEN_SECONDS = 10 * 60
_MAX_TOKEN_SECONDS = 2**32
_MIN_UPDATE_SECONDS = 10


class TokenRequest(Model, protobuf="audience expirationSeconds*"):
    """A token of the pod's service account that the driver needs."""

    audience: str = ""
    """The audience of the token. Empty: the API server."""
    expirationSeconds: Int64 | None = None
    """Seconds for which the token is valid, 600 or more. Default: 3600."""


class CSIDriverSpec(
    Model,
    protobuf="attachRequired* podInfoOnMount* volumeLifecycleModes storageCapacity* fsGroupPolicy* tokenRequests "
    "requiresRepublish* seLinuxMount* nodeAllocatableUpdatePeriodSeconds* serviceAccountTokenInSecrets*",
):
    """How the cluster is to treat the driver."""

    attachRequired: bool | None = True
    """Whether volumes must be attached to a node before they are mounted. Default: true. It can't be changed."""
    podInfoOnMount: bool | None = False
    """Whether the driver is told of the pod when it mounts a volume. Default: false."""
    volumeLifecycleModes: Annotated[list[str], ListMapKeys()] | None = None
    """The volumes that the driver serves: Persistent (the default) for claims, Ephemeral for those that a pod has
    inline. It can't be changed."""
    storageCapacity: bool | None = False
    """Whether the scheduler looks at the CSIStorageCapacity objects of the driver. Default: false."""
    fsGroupPolicy: str | None = "ReadWriteOnceWithFSType"
    """Whether the kubelet gives files to a pod's fsGroup: ReadWriteOnceWithFSType (the default), File, or None."""
    tokenRequests: list[TokenRequest] | None = None
    """The tokens of the pod's service account that the driver gets when it mounts a volume, one for an audience."""
    requiresRepublish: bool | None = False
    """Whether the driver is asked again from time to time to publish a mounted volume. Default: false."""
    seLinuxMount: bool | None = False
    """Whether volumes can be mounted with an SELinux context. Default: false."""
    nodeAllocatableUpdatePeriodSeconds: Int64 | None = None
    """Seconds between updates of the number of volumes that a node takes, 10 or more. Default: no updates."""
    serviceAccountTokenInSecrets: bool | None = None
    """Whether tokens are passed among the secrets and not in the volume's context. Default: false."""


class CSIDriver(Object, protobuf="metadata spec"):
    """A storage driver in the cluster. Its name is the driver's own."""

    spec: Annotated[CSIDriverSpec, Required()] = Field(default_factory=CSIDriverSpec)
    """How the driver is to be treated."""


class CSIDriverStrategy(Strategy[CSIDriver]):
    """Source: Kubernetes API reference, "CSIDriver"."""

    generation_tracks_spec = False
    allow_unconditional_update = False

    def default(self, obj: CSIDriver) -> None:
        obj.spec.volumeLifecycleModes = obj.spec.volumeLifecycleModes or [PERSISTENT]

    def prepare_create(self, obj: CSIDriver) -> None:
        obj.metadata.generation = None

    def prepare_update(self, obj: CSIDriver, old: CSIDriver) -> None:
        if obj.spec != old.spec:
            obj.metadata.generation = (old.metadata.generation or 0) + 1

    def validate(self, obj: CSIDriver) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        if len(obj.name) > 63:
            errors.too_long(("metadata", "name"), 63)
        for field in ("attachRequired", "podInfoOnMount", "storageCapacity"):
            if getattr(spec, field) is None:
                errors.required(("spec", field))
        if spec.fsGroupPolicy is not None and spec.fsGroupPolicy not in _FS_GROUP_POLICIES:
            errors.not_supported(("spec", "fsGroupPolicy"), spec.fsGroupPolicy, _FS_GROUP_POLICIES)
        _check_tokens(errors, spec.tokenRequests or [])
        for mode in spec.volumeLifecycleModes or ():
            if mode not in _MODES:
                errors.not_supported(("spec", "volumeLifecycleModes"), mode, _MODES)
        seconds = spec.nodeAllocatableUpdatePeriodSeconds
        if seconds is not None and seconds < _MIN_UPDATE_SECONDS:
            text = f"must be greater than or equal to {_MIN_UPDATE_SECONDS} seconds"
            errors.invalid(("spec", "nodeAllocatableUpdatePeriodSeconds"), seconds, text)
        if spec.serviceAccountTokenInSecrets is not None and not spec.tokenRequests:
            text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
            errors.invalid(("spec", "serviceAccountTokenInSecrets"), spec.serviceAccountTokenInSecrets, text)
        return errors

    def validate_update(self, obj: CSIDriver, old: CSIDriver) -> list[FieldError]:
        errors = Errors()
        # upstream names the field so
        errors.check_immutable(("spec", "attachedRequired"), obj.spec.attachRequired, old.spec.attachRequired)
        modes = obj.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes
        errors.check_immutable(("spec", "volumeLifecycleModes"), *modes)
        return errors

    def create_warnings(self, obj: CSIDriver) -> list[str]:
        if not obj.spec.tokenRequests or obj.spec.serviceAccountTokenInSecrets is not None:
            return []
        return [
            "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent "
            "possible logging of tokens in volume attributes"
        ]

    def update_warnings(self, obj: CSIDriver, old: CSIDriver) -> list[str]:
        return self.create_warnings(obj)


def _check_tokens(errors: Errors, requests: list[TokenRequest]) -> None:
    audiences: set[str] = set()
    for index, request in enumerate(requests):
        path = ("spec", "tokenRequests", index)
        if request.audience in audiences:
            errors.duplicate((*path, "audience"), request.audience)
            continue
        audiences.add(request.audience)
        seconds = request.expirationSeconds
        if seconds is None:
            continue
        if seconds < _MIN_TOKEN_SECONDS:
            errors.invalid((*path, "expirationSeconds"), seconds, "may not specify a duration less than 10 minutes")
        if seconds > _MAX_TOKEN_SECONDS:
            text = "may not specify a duration larger than 2^32 seconds"
            errors.invalid((*path, "expirationSeconds"), seconds, text)


RESOURCE = Resource(
    kind="CSIDriver",
    plural="csidrivers",
    model=CSIDriver,
    group=GROUP,
    namespaced=False,
    strategy=CSIDriverStrategy(),
    returned_on_delete=True,
    columns=(
        NAME,
        Column(
            "AttachRequired",
            lambda obj, now: obj.spec.attachRequired is not False,
            "Whether volumes are attached to a node before they are mounted.",
            "boolean",
        ),
        Column(
            "PodInfoOnMount",
            lambda obj, now: bool(obj.spec.podInfoOnMount),
            "Whether the driver is told of the pod.",
            "boolean",
        ),
        Column(
            "StorageCapacity",
            lambda obj, now: bool(obj.spec.storageCapacity),
            "Whether the scheduler looks at the driver's capacity.",
            "boolean",
        ),
        Column(
            "TokenRequests",
            lambda obj, now: ",".join(each.audience for each in obj.spec.tokenRequests or ()) or "<unset>",
            "The audiences of the tokens that the driver gets.",
        ),
        Column(
            "RequiresRepublish",
            lambda obj, now: bool(obj.spec.requiresRepublish),
            "Whether mounted volumes are published again from time to time.",
            "boolean",
        ),
        Column(
            "Modes",
            lambda obj, now: ",".join(obj.spec.volumeLifecycleModes or ()) or "<none>",
            "The volumes that the driver serves.",
        ),
        AGE,
    ),
)
