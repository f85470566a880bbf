"""DefaultIngressClass: the class of Ingresses that name none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from apiserver.admission import defaultingressclass
from apiserver.admission._plugin import CREATE, Attributes
from apiserver.request.user import User
from kubeapi.networking.ingress import CLASS_ANNOTATION
from kubeapi.networking.ingress import RESOURCE as INGRESSES
from kubeapi.networking.ingressclass import DEFAULT_ANNOTATION
from kubeapi.networking.ingressclass import RESOURCE as CLASSES
from tests.kits.kinds import load

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def ingress_class(name: str, since: str = OLD, default: str = "true") -> Any:
    meta = {"name": name, "creationTimestamp": since, "annotations": {DEFAULT_ANNOTATION: default}}
    return load(CLASSES, {"metadata": meta, "spec": {"controller": "x.example/c"}})


@pytest.mark.parametrize(
    ("classes", "spec", "annotations", "chosen"),
    [
        ([], {}, {}, None),
        ([ingress_class("a")], {}, {}, "a"),
        ([ingress_class("a", default="false")], {}, {}, None),
        ([ingress_class("a"), ingress_class("b", NEW)], {}, {}, "b"),
        ([ingress_class("b"), ingress_class("a")], {}, {}, "a"),
        ([ingress_class("a")], {"ingressClassName": "mine"}, {}, "mine"),
        ([ingress_class("a")], {}, {CLASS_ANNOTATION: "old"}, None),
    ],
)
def test_the_newest_default_is_chosen(
    classes: list[Any], spec: dict[str, Any], annotations: dict[str, str], chosen: str | None
) -> None:
    obj = load(INGRESSES, {"metadata": {"name": "i", "namespace": "ns", "annotations": annotations}, "spec": spec})
    lookup: Any = SimpleNamespace(resource=lambda plural, group: CLASSES, derived=lambda of, make: make(classes))
    defaultingressclass.admit(Attributes(CREATE, INGRESSES, "", "ns", "i", obj, None, User("u")), lookup)
    assert obj.spec.ingressClassName == chosen
