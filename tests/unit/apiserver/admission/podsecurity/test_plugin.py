"""Which requests PodSecurity looks at, what it notes for the audit log, and whom it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from apimachinery.catalogue import load_catalogue
from apimachinery.errors import Forbidden, StatusError
from apimachinery.model import from_dict
from apimachinery.resource import Resource
from apiserver.admission._plugin import CREATE, UPDATE, Attributes
from apiserver.admission.podsecurity._configuration import Settings
from apiserver.admission.podsecurity._policy import LevelVersion, Policy
from apiserver.admission.podsecurity.plugin import TEMPLATES, becomes_stricter, changes_containers, make
from apiserver.request.user import User
from kubeapi.apps.deployment import RESOURCE as DEPLOYMENTS
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.core.pod.spec import PodSpec

PREFIX = "pod-security.kubernetes.io/"
BAD = {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]}
PRIVILEGED = 'privileged (container "c" must not set securityContext.privileged=true)'


class Namespaces:
    """A lookup whose only namespace has these labels."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.storage = self

    def resource(self, plural: str) -> None: ...

    def latest(self, *_: Any) -> Namespaces:
        return self


def run(
    resource: Resource[Any], spec: Any, labels: Mapping[str, str], settings: Settings | None = None, user: str = "u"
) -> Attributes:
    obj = from_dict(resource.model, {"metadata": {"name": "x", "namespace": "n"}, "spec": spec})
    attributes = Attributes(CREATE, resource, "", "n", "x", obj, None, User(user), audit_annotations={})
    check = make(settings or Settings()).validate
    assert check is not None
    named = {PREFIX + name.replace("_", "-"): value for name, value in labels.items()}
    try:
        check(attributes, Namespaces(named))  # type: ignore[arg-type]
    except Forbidden as error:
        error.details = {"audit": attributes.audit_annotations}
        raise
    return attributes


def notes(attributes: Attributes) -> dict[str, str]:
    """Returns the notes, without the prefix of the keys."""
    return {key.removeprefix(PREFIX): text for key, text in (attributes.audit_annotations or {}).items()}


def test_a_refused_pod_is_noted() -> None:
    with pytest.raises(StatusError) as raised:
        run(PODS, BAD, {"enforce": "baseline", "audit": "baseline", "audit_version": "v1.20"})
    assert raised.value.message == f'pods "x" is forbidden: violates PodSecurity "baseline:latest": {PRIVILEGED}'
    assert raised.value.details == {
        "audit": {
            f"{PREFIX}enforce-policy": "baseline:latest",
            f"{PREFIX}audit-violations": f'would violate PodSecurity "baseline:v1.20": {PRIVILEGED}',
        }
    }


def test_a_pod_that_is_only_audited_is_not_warned_of() -> None:
    attributes = run(PODS, BAD, {"audit": "baseline"})
    assert attributes.warnings == ()
    assert notes(attributes)["audit-violations"].endswith(PRIVILEGED)
    assert notes(attributes)["enforce-policy"] == "privileged:latest"


def test_a_template_is_warned_of_and_never_refused() -> None:
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": BAD}}
    attributes = run(DEPLOYMENTS, spec, {"enforce": "baseline"})
    assert attributes.warnings == (f'would violate PodSecurity "baseline:latest": {PRIVILEGED}',)
    assert run(DEPLOYMENTS, spec, {"enforce": "baseline", "warn": "privileged"}).warnings == ()


def test_labels_that_are_wrong_are_noted_and_enforce_the_strictest_level() -> None:
    with pytest.raises(Forbidden, match='violates PodSecurity "restricted:latest"') as raised:
        run(PODS, BAD, {"enforce": "nonsense"})
    assert "must be one of privileged" in str(raised.value.details)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(namespaces=frozenset({"n"})), "namespace"),
        (Settings(usernames=frozenset({"u"})), "user"),
        (Settings(runtime_classes=frozenset({"sandbox"})), "runtimeClass"),
    ],
)
def test_who_is_exempt_is_noted(settings: Settings, reason: str) -> None:
    attributes = run(PODS, {**BAD, "runtimeClassName": "sandbox"}, {"enforce": "baseline"}, settings)
    assert notes(attributes) == {"exempt": reason}


def test_updates_that_bring_another_program_are_looked_at() -> None:
    def spec(image: str = "i", **more: Any) -> PodSpec:
        return from_dict(PodSpec, {"containers": [{"name": "c", "image": image}], **more})

    debug = {"ephemeralContainers": [{"name": "d", "image": "i"}]}
    assert not changes_containers(spec(), spec())
    assert not changes_containers(spec(activeDeadlineSeconds=1), spec())
    assert not changes_containers(spec(**debug), spec(**debug))
    assert changes_containers(spec("j"), spec())
    assert changes_containers(spec(initContainers=[{"name": "i", "image": "i"}]), spec())
    assert changes_containers(spec(**debug), spec())


@pytest.mark.parametrize(
    ("new", "old", "stricter"),
    [
        (("baseline", "latest"), ("privileged", "latest"), True),
        (("restricted", "latest"), ("baseline", "latest"), True),
        (("baseline", "latest"), ("restricted", "latest"), False),
        (("baseline", "v1.2"), ("restricted", "latest"), True),
        (("privileged", "v1.2"), ("restricted", "latest"), False),
        (("baseline", "v1.2"), ("baseline", "v1.2"), False),
    ],
)
def test_a_level_is_stricter_where_pods_may_break_it_that_did_not(
    new: tuple[str, str], old: tuple[str, str], stricter: bool
) -> None:
    assert becomes_stricter(LevelVersion(*new), LevelVersion(*old)) is stricter


def test_an_update_of_a_pod_is_refused_only_for_what_it_brings() -> None:
    check = make(Settings(Policy(enforce=LevelVersion("baseline")))).validate
    assert check is not None
    old = from_dict(PODS.model, {"metadata": {"name": "x"}, "spec": BAD})
    lookup: Any = Namespaces({})
    for image, refused in (("i", False), ("j", True)):
        new = from_dict(PODS.model, {"metadata": {"name": "x"}, "spec": BAD})
        new.spec.containers[0].image = image
        attributes = Attributes(UPDATE, PODS, "", "n", "x", new, old, User("u"))
        if refused:
            with pytest.raises(Forbidden):
                check(attributes, lookup)
        else:
            check(attributes, lookup)


def test_every_kind_with_a_template_is_known() -> None:
    """A kind that is added later with a template of pods has to be added here, too."""
    for resource in load_catalogue():
        name = f"{resource.plural}.{resource.group}".rstrip(".")
        spec = resource.model.model_fields.get("spec")
        fields = getattr(spec.annotation, "model_fields", {}) if spec is not None else {}
        if "template" in fields or "jobTemplate" in fields:
            assert name in TEMPLATES
