"""Scale (autoscaling/v1): the body of every `scale` subresource."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from kubeapi._common import Int32


class ScaleSpec(Model):
    replicas: Int32 = 0


class ScaleStatus(Model):
    replicas: Int32 = 0
    selector: str | None = None


class Scale(Object):
    spec: ScaleSpec = Field(default_factory=ScaleSpec)
    status: ScaleStatus = Field(default_factory=ScaleStatus)
