"""The template that controllers make pods from."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import ObjectMeta
from apimachinery.model import Model
from kubeapi.core.pod.spec import PodSpec


class PodTemplateSpec(Model, protobuf="metadata spec"):
    """The template of pods."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    """Labels and annotations of the pods."""
    spec: PodSpec = Field(default_factory=PodSpec)
    """The desired state of the pods."""
