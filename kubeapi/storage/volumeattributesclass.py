"""VolumeAttributesClass: settings of a volume that can be changed while it is in use."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core.pod.validation.storagevolumes import check_driver_name
from kubeapi.storage.storageclass import GROUP, check_parameters

PROTECTION_FINALIZER = "kubernetes.io/vac-protection"


class VolumeAttributesClass(Object, protobuf="metadata driverName parameters"):
    """Names settings of volumes, such as their speed. A claim that changes its class has its volume changed."""

    driverName: str = ""
    """The name of the CSI driver. It can't be changed."""
    parameters: dict[str, str] | None = None
    """The settings for the driver, at least one. They can't be changed."""


class VolumeAttributesClassStrategy(Strategy[VolumeAttributesClass]):
    """Source: Kubernetes documentation, "Volume Attributes Classes"."""

    def validate(self, obj: VolumeAttributesClass) -> list[FieldError]:
        errors = Errors()
        check_driver_name(errors, ("driverName",), obj.driverName)
        check_parameters(errors, ("parameters",), obj.parameters, may_be_empty=False)
        return errors

    def validate_update(self, obj: VolumeAttributesClass, old: VolumeAttributesClass) -> list[FieldError]:
        errors = Errors()
        for field in ("driverName", "parameters"):
            if getattr(obj, field) != getattr(old, field):
                errors.forbidden((field,), f"updates to {field} are forbidden.")
        return errors


RESOURCE = Resource(
    kind="VolumeAttributesClass",
    plural="volumeattributesclasses",
    model=VolumeAttributesClass,
    group=GROUP,
    namespaced=False,
    short_names=("vac",),
    strategy=VolumeAttributesClassStrategy(),
    returned_on_delete=True,
    columns=(
        NAME,
        Column("DriverName", lambda obj, now: obj.driverName, "The driver that knows the settings."),
        AGE,
    ),
)
