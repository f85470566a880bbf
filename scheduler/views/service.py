"""Models which pods a Service is for: they are spread over nodes."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource


class ServiceSpec(Model):
    selector: dict[str, str] | None = None


class Service(Object):
    spec: ServiceSpec = Field(default_factory=ServiceSpec)


RESOURCE = Resource(kind="Service", plural="services", model=Service)
