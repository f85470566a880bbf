"""The scheduler's views of kinds must stay parts of the kinds."""

from __future__ import annotations

import typing

import pytest

import kubeapi.apps.replicaset
import kubeapi.core.namespace
import kubeapi.core.node
import kubeapi.core.persistentvolume.resource
import kubeapi.core.persistentvolumeclaim.resource
import kubeapi.core.pod.resource
import kubeapi.core.service.resource
import kubeapi.storage.csidriver
import kubeapi.storage.csinode
import kubeapi.storage.csistoragecapacity
import kubeapi.storage.storageclass
import kubeapi.storage.volumeattachment
import scheduler.views.csidriver
import scheduler.views.csinode
import scheduler.views.csistoragecapacity
import scheduler.views.namespace
import scheduler.views.node
import scheduler.views.persistentvolume
import scheduler.views.persistentvolumeclaim
import scheduler.views.pod
import scheduler.views.replicaset
import scheduler.views.service
import scheduler.views.storageclass
import scheduler.views.volumeattachment
from apimachinery.model import Model
from apimachinery.resource import Resource
from scheduler.options import parse

PAIRS = [
    (scheduler.views.pod.RESOURCE, kubeapi.core.pod.resource.RESOURCE),
    (scheduler.views.node.RESOURCE, kubeapi.core.node.RESOURCE),
    (scheduler.views.service.RESOURCE, kubeapi.core.service.resource.RESOURCE),
    (scheduler.views.replicaset.RESOURCE, kubeapi.apps.replicaset.RESOURCE),
    (scheduler.views.namespace.RESOURCE, kubeapi.core.namespace.RESOURCE),
    (scheduler.views.persistentvolume.RESOURCE, kubeapi.core.persistentvolume.resource.RESOURCE),
    (scheduler.views.persistentvolumeclaim.RESOURCE, kubeapi.core.persistentvolumeclaim.resource.RESOURCE),
    (scheduler.views.csidriver.RESOURCE, kubeapi.storage.csidriver.RESOURCE),
    (scheduler.views.csinode.RESOURCE, kubeapi.storage.csinode.RESOURCE),
    (scheduler.views.csistoragecapacity.RESOURCE, kubeapi.storage.csistoragecapacity.RESOURCE),
    (scheduler.views.storageclass.RESOURCE, kubeapi.storage.storageclass.RESOURCE),
    (scheduler.views.volumeattachment.RESOURCE, kubeapi.storage.volumeattachment.RESOURCE),
]


def models(annotation: object) -> list[type[Model]]:
    """The models inside a type such as `list[Container] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models(part)]


def assert_part_of(view: type[Model], whole: type[Model], path: str) -> None:
    for name, field in view.model_fields.items():
        assert name in whole.model_fields, f"{path}.{name} is not in the API"
        full = whole.model_fields[name]
        inner, outer = models(field.annotation), models(full.annotation)
        if inner:
            assert len(inner) == len(outer) == 1, f"{path}.{name}"
            if inner[0] is not outer[0]:
                assert_part_of(inner[0], outer[0], f"{path}.{name}")
        elif not outer:
            assert field.default == full.default, f"{path}.{name} has another default"


@pytest.mark.parametrize(("view", "whole"), PAIRS, ids=[view.kind for view, _ in PAIRS])
def test_a_view_is_a_part_of_its_kind(view: Resource[typing.Any], whole: Resource[typing.Any]) -> None:
    assert view.path("ns", "name") == whole.path("ns", "name")
    assert (view.kind, view.namespaced) == (whole.kind, whole.namespaced)
    assert_part_of(view.model, whole.model, view.kind)


def test_the_flags_are_upstreams() -> None:
    options = parse(["--kubeconfig=/k", "--leader-elect=false", "--secure-port=1", "--bind-address=127.0.0.1"])
    assert (options.kubeconfig, options.election.enabled, options.serving.port) == ("/k", False, 1)
    assert parse([]).serving.port == 10259
