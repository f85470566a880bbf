"""Scale (autoscaling/v1): the body of every `scale` subresource."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.model import Model
from kubeapi._common import Int32, always


class ScaleSpec(Model):
    replicas: Int32 = 0


class ScaleStatus(Model):
    replicas: Int32 = 0
    selector: str | None = None


class Scale(Object):
    spec: ScaleSpec = always()
    status: ScaleStatus = always()
