"""PodSecurity: refuses pods that break the level of the Pod Security Standards that their namespace enforces.

Templates of pods are never refused, only warned of and noted for the audit log: their pods will be refused. A namespace
that asks for a stricter level is told which of its pods break it.

Source: Kubernetes documentation, "Pod Security Admission".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from apimachinery.errors import FieldError, InternalError, invalid_object, join_errors, resource_name
from apimachinery.meta import ObjectMeta
from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, refused
from apiserver.admission.podsecurity import _existing
from apiserver.admission.podsecurity._configuration import Settings, read_settings
from apiserver.admission.podsecurity._policy import (
    LABEL_PREFIX,
    MODES,
    PRIVILEGED,
    LevelVersion,
    Policy,
    policy_of,
)
from apiserver.admission.podsecurity._standards import details, violations
from apiserver.admission.podsecurity._violation import Violation
from kubeapi.core.pod.spec import PodSpec
from kubeapi.core.pod.template import PodTemplateSpec

Template = Callable[[Any], PodTemplateSpec | None]

TEMPLATES: Mapping[str, Template] = {
    "cronjobs.batch": lambda job: job.spec.jobTemplate.spec.template,
    "daemonsets.apps": lambda controller: controller.spec.template,
    "deployments.apps": lambda controller: controller.spec.template,
    "jobs.batch": lambda job: job.spec.template,
    "podtemplates": lambda template: template.template,
    "replicasets.apps": lambda controller: controller.spec.template,
    "replicationcontrollers": lambda controller: controller.spec.template,
    "statefulsets.apps": lambda controller: controller.spec.template,
}
"""Where each kind of workload has the template of its pods."""

PODS = ("pods", "pods/ephemeralcontainers", "pods/resize")


def make(settings: Settings, limits: _existing.Limits = _existing.DEFAULT_LIMITS) -> Plugin:
    return Plugin(
        "PodSecurity",
        frozenset({CREATE, UPDATE}),
        frozenset({"namespaces", *PODS, *TEMPLATES}),
        validate=PodSecurity(settings, limits).check,
        configure=lambda document: make(read_settings(document), limits),
    )


class PodSecurity:
    """The checks of the plugin, as it is configured."""

    def __init__(self, settings: Settings, limits: _existing.Limits) -> None:
        self._settings = settings
        self._limits = limits

    def check(self, attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
        if attributes.resource.kind == "Namespace":
            return self._check_namespace(attributes, lookup)
        exempt = (attributes.namespace in self._settings.namespaces and "namespace") or (
            attributes.user.name in self._settings.usernames and "user"
        )
        if exempt:
            _annotate(attributes, "exempt", exempt)
            return None
        namespace = lookup.storage.latest(lookup.resource("namespaces"), "", attributes.namespace)
        if namespace is None:
            return self._look_again(attributes, lookup)
        self._check_pods(attributes, namespace.labels)
        return None

    async def _look_again(self, attributes: Attributes, lookup: Lookup) -> None:
        """Asks etcd: the cache may be behind another API server that has just created the namespace."""
        namespace = await lookup.storage.get_from_etcd(lookup.resource("namespaces"), "", attributes.namespace)
        if namespace is not None:
            self._check_pods(attributes, namespace.labels)
        elif attributes.resource.kind == "Pod":
            raise InternalError(f'failed to lookup namespace "{attributes.namespace}"')

    def _check_pods(self, attributes: Attributes, labels: Mapping[str, str]) -> None:
        """Checks a pod, or the template of a workload. Raises: Forbidden."""
        policy, errors = policy_of(labels, self._settings.defaults)
        is_pod = attributes.resource.kind == "Pod"
        if not errors and (policy.is_privileged if is_pod else policy._replace(enforce=LevelVersion()).is_privileged):
            return
        obj = attributes.obj
        if is_pod:
            if attributes.operation == UPDATE and not changes_containers(obj.spec, attributes.old.spec):
                return
            self._evaluate(attributes, policy, errors, obj.metadata, obj.spec)
        else:
            template = TEMPLATES[resource_name(attributes.resource.plural, attributes.resource.group)](obj)
            if template is not None:
                self._evaluate(attributes, policy, errors, template.metadata, template.spec)

    def _evaluate(
        self,
        attributes: Attributes,
        policy: Policy,
        errors: tuple[FieldError, ...],
        metadata: ObjectMeta,
        spec: PodSpec,
    ) -> None:
        """`errors` are those of the namespace's labels. Raises: Forbidden."""
        if spec.runtimeClassName and spec.runtimeClassName in self._settings.runtime_classes:
            _annotate(attributes, "exempt", "runtimeClass")
            return
        results: dict[LevelVersion, tuple[Violation, ...]] = {}

        def broken(asked: LevelVersion) -> str:
            if asked not in results:
                results[asked] = violations(asked, metadata.annotations or {}, spec)
            return details(results[asked])

        if errors:
            _annotate(attributes, "error", f"Failed to parse policy: {join_errors([str(error) for error in errors])}")
        if text := broken(policy.audit):
            _annotate(attributes, "audit-violations", f'would violate PodSecurity "{policy.audit}": {text}')
        if attributes.resource.kind == "Pod":
            _annotate(attributes, "enforce-policy", str(policy.enforce))
            if text := broken(policy.enforce):
                raise refused(attributes, f'violates PodSecurity "{policy.enforce}": {text}')
        if text := broken(policy.warn):
            attributes.warn(f'would violate PodSecurity "{policy.warn}": {text}')

    def _check_namespace(self, attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
        """Raises: Invalid for labels that are wrong; an update may keep those that were there."""
        policy, errors = policy_of(attributes.obj.labels, self._settings.defaults)
        is_update = attributes.operation == UPDATE
        old, old_errors = policy_of(attributes.old.labels if is_update else {}, self._settings.defaults)
        if errors and errors != old_errors:
            raise invalid_object("Namespace", "", attributes.name, list(errors))
        if is_update and not becomes_stricter(policy.enforce, old.enforce):
            return None
        if attributes.obj.name in self._settings.namespaces:
            self._warn_of_exemption(attributes, policy)
            return None
        return self._warn_of_pods(attributes, lookup, policy.enforce) if is_update else None

    async def _warn_of_pods(self, attributes: Attributes, lookup: Lookup, asked: LevelVersion) -> None:
        exempt_runtimes = self._settings.runtime_classes
        attributes.warn(*await _existing.warnings(lookup, attributes.obj.name, asked, exempt_runtimes, self._limits))

    def _warn_of_exemption(self, attributes: Attributes, policy: Policy) -> None:
        """Says that the labels of an exempt namespace have no effect."""
        if policy.is_privileged or policy.is_equivalent(self._settings.defaults):
            return
        labels, name = attributes.obj.labels, attributes.obj.name
        shown = ", ".join(
            f"{mode}={asked}"
            for mode, asked in zip(MODES, policy, strict=True)
            if asked.level != PRIVILEGED and any(LABEL_PREFIX + mode + part in labels for part in ("", "-version"))
        )
        attributes.warn(f'namespace "{name}" is exempt from Pod Security, and the policy ({shown}) will be ignored')


def changes_containers(spec: PodSpec, old: PodSpec) -> bool:
    """Tells whether an update gives a pod other containers or images; all else that may change is harmless."""
    for mine, theirs in ((spec.containers, old.containers), (spec.initContainers or [], old.initContainers or [])):
        if [item.image for item in mine] != [item.image for item in theirs]:
            return True
    debuggers = {item.name: item.image for item in old.ephemeralContainers or ()}
    return any(
        item.name not in debuggers or debuggers[item.name] != item.image for item in spec.ephemeralContainers or ()
    )


def becomes_stricter(enforce: LevelVersion, old: LevelVersion) -> bool:
    """Tells whether pods that were allowed may not be so any more."""
    if enforce == old or enforce.level == PRIVILEGED:
        return False
    return enforce.version != old.version or enforce.strictness > old.strictness


def _annotate(attributes: Attributes, key: str, value: str) -> None:
    attributes.annotate(LABEL_PREFIX + key, value)


ADMISSION = make(Settings())
