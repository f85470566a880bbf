"""The template that controllers make pods from."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import ObjectMeta
from apimachinery.model import Model
from kubeapi._podspec import PodSpec


class PodTemplateSpec(Model):
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: PodSpec = Field(default_factory=PodSpec)
