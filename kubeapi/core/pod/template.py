"""The template that controllers make pods from."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import ObjectMeta
from apimachinery.model import Model
from kubeapi.core.pod.spec import PodSpec


class PodTemplateSpec(Model, protobuf="metadata spec"):
    """What pods are made from."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    """Labels and annotations of the pods."""
    spec: PodSpec = Field(default_factory=PodSpec)
    """What the pods consist of and where they may run."""
