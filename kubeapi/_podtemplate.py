"""The template that controllers make pods from."""

from __future__ import annotations

from apimachinery.meta import ObjectMeta
from apimachinery.model import Model
from kubeapi._common import always
from kubeapi._podspec import PodSpec


class PodTemplateSpec(Model):
    metadata: ObjectMeta = always()
    spec: PodSpec = always()
