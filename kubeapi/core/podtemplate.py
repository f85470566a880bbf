"""PodTemplate: a template of pods as an object of its own."""

from __future__ import annotations

from pydantic import Field

from apimachinery.columns import NAME, label_text
from apimachinery.errors import FieldError
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.strategy.defaults import default_pod_spec
from kubeapi.core.pod.strategy.warnings import pod_warnings
from kubeapi.core.pod.template import PodTemplateSpec
from kubeapi.core.pod.validation.pod import check_template


class PodTemplate(PodSpecHolder, protobuf="metadata template"):
    """A stored template of pods for controllers to use."""

    template: PodTemplateSpec = Field(default_factory=PodTemplateSpec)
    """The template: the metadata and spec of the pods."""


class PodTemplateStrategy(Strategy[PodTemplate]):
    """Source: Kubernetes API reference, "PodTemplate"."""

    def default(self, obj: PodTemplate) -> None:
        default_pod_spec(obj.template.spec)

    def prepare_create(self, obj: PodTemplate) -> None:
        obj.metadata.generation = 1

    def prepare_update(self, obj: PodTemplate, old: PodTemplate) -> None:
        if obj.template != old.template:
            obj.metadata.generation = (old.metadata.generation or 0) + 1

    def validate(self, obj: PodTemplate) -> list[FieldError]:
        errors = Errors()
        check_template(errors, ("template",), obj.template)
        return errors

    def create_warnings(self, obj: PodTemplate) -> list[str]:
        return pod_warnings(("template",), obj.template.spec, obj.template.metadata.annotations or {})


RESOURCE = Resource(
    kind="PodTemplate",
    plural="podtemplates",
    model=PodTemplate,
    strategy=PodTemplateStrategy(),
    columns=(
        NAME,
        Column(
            "Containers",
            lambda obj, now: ",".join(container.name for container in obj.template.spec.containers),
            "Names of the containers.",
        ),
        Column(
            "Images",
            lambda obj, now: ",".join(container.image or "" for container in obj.template.spec.containers),
            "Images of the containers.",
        ),
        Column("Pod Labels", lambda obj, now: label_text(obj.template.metadata.labels), "The labels of the pods."),
    ),
)
