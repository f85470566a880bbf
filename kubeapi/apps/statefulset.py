"""StatefulSet: numbered pods that keep their names and their claims."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector, StatusCondition
from apimachinery.model import Int32, Int64, IntOrString, MergeKey, Model, Required, to_dict
from apimachinery.resource import Resource, Scale, Strategy
from apimachinery.selectors import selector_of
from apimachinery.validation import Errors, Path, percent_of
from kubeapi.core._workload import (
    READY,
    WORKLOAD_WIDE,
    check_collisions,
    check_counts,
    name_warnings,
    template_warnings,
)
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.persistentvolumeclaim.resource import class_annotation_warnings
from kubeapi.core.persistentvolumeclaim.validation import check_claim_spec
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.strategy.defaults import default_pod_spec
from kubeapi.core.pod.template import PodTemplateSpec
from kubeapi.core.pod.validation.pod import check_always_template
from kubeapi.core.pod.volumes import PersistentVolumeClaimVolumeSource, Volume

ORDERED_READY, PARALLEL = "OrderedReady", "Parallel"
ROLLING_UPDATE, ON_DELETE = "RollingUpdate", "OnDelete"
RETAIN, DELETE = "Retain", "Delete"
_CHANGEABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


class RollingUpdateStatefulSetStrategy(Model, protobuf="partition* maxUnavailable"):
    """The extent of a rolling update."""

    partition: Int32 | None = None
    """The number of pods, from the first, that an update leaves alone. Default: 0."""
    maxUnavailable: IntOrString | None = None
    """The number of pods that may be unavailable during the update, absolute or as a percentage of `replicas`, rounded
    up. Default: 1."""


class StatefulSetUpdateStrategy(Model, protobuf="type rollingUpdate"):
    """The way in which new pods take the place of old ones."""

    type: str = ROLLING_UPDATE
    """RollingUpdate (the default) replaces pods one by one from the last to the first, OnDelete waits until someone
    deletes them."""
    rollingUpdate: RollingUpdateStatefulSetStrategy | None = None
    """How far the update goes, and how fast."""


class StatefulSetPersistentVolumeClaimRetentionPolicy(Model, protobuf="whenDeleted whenScaled"):
    """What happens to the claims that were made from volumeClaimTemplates."""

    whenDeleted: str = RETAIN
    """Retain (the default) keeps the claims when the StatefulSet is deleted, Delete deletes them with it."""
    whenScaled: str = RETAIN
    """Retain (the default) keeps the claims of pods that scaling down removes, Delete deletes them with the pod."""


class StatefulSetOrdinals(Model, protobuf="start"):
    """The numbering of the pods."""

    start: Int32 = 0
    """The number of the first pod, 0 or more. Default: 0."""


class StatefulSetSpec(
    Model,
    protobuf="replicas* selector template volumeClaimTemplates serviceName podManagementPolicy updateStrategy "
    "revisionHistoryLimit* minReadySeconds persistentVolumeClaimRetentionPolicy ordinals",
):
    """The desired state of a StatefulSet."""

    replicas: Int32 = 1
    """The desired number of pods. Default: 1."""
    selector: Annotated[LabelSelector, Required()] | None = None
    """Selects the pods by labels, which the template must have. It can't be changed."""
    template: Annotated[PodTemplateSpec, Required()] = Field(default_factory=PodTemplateSpec)
    """The template of the pods. Each gets a name that ends with its number."""
    volumeClaimTemplates: list[PersistentVolumeClaim] | None = None
    """The templates of claims that each pod gets, and finds again when it is made anew. A volume of the template's name
    in the pod stands for the claim."""
    serviceName: str = ""
    """The headless Service that gives the pods their names in DNS; it has to be made separately."""
    podManagementPolicy: str = ORDERED_READY
    """OrderedReady (the default) starts pods one after the other and stops them in the opposite order, Parallel all at
    once."""
    updateStrategy: StatefulSetUpdateStrategy = Field(default_factory=StatefulSetUpdateStrategy)
    """How pods of an older template are replaced: in order, or as someone deletes them."""
    revisionHistoryLimit: Int32 | None = 10
    """The number of old revisions that are kept for a rollback. Default: 10."""
    minReadySeconds: Int32 | None = None
    """Seconds that a new pod must be ready before it counts as available. Default: 0."""
    persistentVolumeClaimRetentionPolicy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    """What happens to the pods' claims. Default: they stay."""
    ordinals: StatefulSetOrdinals | None = None
    """The numbering of the pods. Default: from 0."""


class StatefulSetCondition(StatusCondition, protobuf="type status lastTransitionTime reason message"):
    """A condition of a StatefulSet."""

    type: str = ""
    """The aspect of the StatefulSet."""


class StatefulSetStatus(
    Model,
    protobuf="observedGeneration replicas readyReplicas currentReplicas updatedReplicas currentRevision updateRevision "
    "- collisionCount* conditions availableReplicas",
):
    """The observed state of a StatefulSet."""

    observedGeneration: Int64 | None = None
    """The metadata.generation that the controller acted on last."""
    replicas: Int32 = 0
    """The number of pods."""
    readyReplicas: Int32 | None = None
    """The number of ready pods."""
    currentReplicas: Int32 | None = None
    """The number of pods of the revision `currentRevision`."""
    updatedReplicas: Int32 | None = None
    """The number of pods of the revision `updateRevision`."""
    currentRevision: str | None = None
    """The revision that all pods had before the update, and have after it."""
    updateRevision: str | None = None
    """The revision of the current template."""
    collisionCount: Int32 | None = None
    """The number of times that the name of a new revision was taken. It is part of the next name."""
    conditions: Annotated[list[StatefulSetCondition], MergeKey("type")] | None = None
    """The conditions of the StatefulSet, one of each type."""
    availableReplicas: Int32 = 0
    """The number of pods that have been ready for minReadySeconds."""


class StatefulSet(PodSpecHolder, protobuf="metadata spec status"):
    """Keeps numbered pods running, each with a name and claims of its own that outlive it."""

    spec: StatefulSetSpec = Field(default_factory=StatefulSetSpec)
    """The desired number of pods, their template and that of their claims."""
    status: StatefulSetStatus = Field(default_factory=StatefulSetStatus)
    """The number of existing pods, and the progress of an update."""


class StatefulSetStrategy(Strategy[StatefulSet]):
    """Source: Kubernetes documentation, "StatefulSets"."""

    def default(self, obj: StatefulSet) -> None:
        spec = obj.spec
        default_pod_spec(spec.template.spec)
        if spec.updateStrategy.type == ROLLING_UPDATE:
            rolling = spec.updateStrategy.rollingUpdate or RollingUpdateStatefulSetStrategy()
            spec.updateStrategy.rollingUpdate = rolling
            if rolling.partition is None:
                rolling.partition = 0
        if spec.persistentVolumeClaimRetentionPolicy is None:
            spec.persistentVolumeClaimRetentionPolicy = StatefulSetPersistentVolumeClaimRetentionPolicy()
        if spec.revisionHistoryLimit is None:
            spec.revisionHistoryLimit = 10
        for claim in spec.volumeClaimTemplates or ():
            claim.apiVersion, claim.kind = "v1", "PersistentVolumeClaim"

    def validate(self, obj: StatefulSet) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        if spec.podManagementPolicy not in (ORDERED_READY, PARALLEL):
            text = "must be 'OrderedReady' or 'Parallel'"
            errors.invalid(("spec", "podManagementPolicy"), spec.podManagementPolicy, text)
        _check_update_strategy(errors, ("spec", "updateStrategy"), spec.updateStrategy)
        if (policy := spec.persistentVolumeClaimRetentionPolicy) is not None:
            at: Path = ("spec", "persistentVolumeClaimRetentionPolicy")
            errors.check_one_of((*at, "whenDeleted"), policy.whenDeleted, (RETAIN, DELETE))
            errors.check_one_of((*at, "whenScaled"), policy.whenScaled, (RETAIN, DELETE))
        errors.check_not_negative(("spec", "replicas"), spec.replicas)
        errors.check_not_negative(("spec", "minReadySeconds"), spec.minReadySeconds)
        if spec.ordinals is not None:
            errors.check_not_negative(("spec", "ordinals", "start"), spec.ordinals.start)
        for index, claim in enumerate(spec.volumeClaimTemplates or ()):
            check_claim_spec(errors, ("spec", "volumeClaimTemplates", index, "spec"), claim.spec)
        if spec.serviceName:
            errors.check_dns_label(("spec", "serviceName"), spec.serviceName)
        _check_selected_template(errors, spec)
        return errors

    def validate_update(self, obj: StatefulSet, old: StatefulSet) -> list[FieldError]:
        errors = Errors()
        kept = obj.spec.model_copy(update={name: getattr(old.spec, name) for name in _CHANGEABLE})
        if kept != old.spec:
            text = (
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                "'minReadySeconds' are forbidden"
            )
            errors.forbidden(("spec",), text)
        return errors

    def validate_status_update(self, obj: StatefulSet, old: StatefulSet) -> list[FieldError]:
        errors, status = Errors(), obj.status
        check_counts(errors, status, ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"))
        check_collisions(errors, status.collisionCount, old.status.collisionCount)
        return errors

    def create_warnings(self, obj: StatefulSet) -> list[str]:
        return name_warnings(obj.name) + _warnings(obj)

    def update_warnings(self, obj: StatefulSet, old: StatefulSet) -> list[str]:
        return _warnings(obj) if obj.spec != old.spec else []


def first_ordinal(stateful_set: StatefulSet) -> int:
    return stateful_set.spec.ordinals.start if stateful_set.spec.ordinals is not None else 0


def volumes_with_claims(template: PodTemplateSpec, claims: dict[str, str]) -> list[Volume]:
    """Returns a pod's volumes; `claims` are those of its claims by volume, which win over the template's volumes."""
    own = [
        Volume(name=name, persistentVolumeClaim=PersistentVolumeClaimVolumeSource(claimName=claim))
        for name, claim in claims.items()
    ]
    return own + [volume for volume in template.spec.volumes or () if volume.name not in claims]


def _check_update_strategy(errors: Errors, path: Path, strategy: StatefulSetUpdateStrategy) -> None:
    rolling, at = strategy.rollingUpdate, (*path, "rollingUpdate")
    if strategy.type not in (ROLLING_UPDATE, ON_DELETE):
        errors.invalid(path, to_dict(strategy), "must be 'RollingUpdate' or 'OnDelete'")
    elif rolling is not None and strategy.type == ON_DELETE:
        errors.invalid(at, to_dict(rolling), "only allowed for updateStrategy 'RollingUpdate'")
    elif rolling is not None:
        errors.check_not_negative((*at, "partition"), rolling.partition)
        most = rolling.maxUnavailable
        if most is None:
            return
        errors.check_int_or_percent((*at, "maxUnavailable"), most)
        if percent_of(most) == 0:
            errors.invalid((*at, "maxUnavailable"), most, "cannot be 0")
        errors.check_at_most_all((*at, "maxUnavailable"), most)


def _check_selected_template(errors: Errors, spec: StatefulSetSpec) -> None:
    """Checks selector and template, which is not looked at while the selector is wrong, as upstream has it."""
    at: Path = ("spec", "selector")
    if spec.selector is None:
        errors.required(at)
    else:
        before = len(errors)
        errors.check_selector(at, spec.selector)
        if not spec.selector.matchLabels and not spec.selector.matchExpressions:
            errors.invalid(at, {}, "empty selector is invalid for statefulset")
        elif len(errors) > before:
            errors.invalid(at, to_dict(spec.selector), "")
            return
    path: Path = ("spec", "template")
    labels = spec.template.metadata.labels
    if spec.selector is None or not selector_of(spec.selector).matches(labels or {}):
        errors.invalid((*path, "metadata", "labels"), labels, "`selector` does not match template `labels`")
    errors.check_labels((*path, "labels"), labels)
    template = spec.template
    if spec.volumeClaimTemplates:
        claims = {claim.name: claim.name for claim in spec.volumeClaimTemplates}
        template = template.model_copy(
            update={"spec": template.spec.model_copy(update={"volumes": volumes_with_claims(template, claims)})}
        )
    check_always_template(errors, path, template, "StatefulSet")


def _warnings(obj: StatefulSet) -> list[str]:
    warnings = []
    if (obj.spec.revisionHistoryLimit or 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        warnings.append(f"spec.revisionHistoryLimit: {text}")
    for claim in obj.spec.volumeClaimTemplates or ():
        warnings += class_annotation_warnings(claim.annotations)
    return template_warnings(obj.spec.template) + warnings


RESOURCE = Resource(
    kind="StatefulSet",
    plural="statefulsets",
    model=StatefulSet,
    group="apps",
    short_names=("sts",),
    categories=("all",),
    strategy=StatefulSetStrategy(),
    columns=(
        NAME,
        READY,
        AGE,
        *WORKLOAD_WIDE[:2],
    ),
    status=True,
    scale=Scale(),
)
