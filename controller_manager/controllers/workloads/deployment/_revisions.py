"""Treats a Deployment's ReplicaSets as revisions: which has the current template, their numbers, names, annotations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apimachinery.meta import LabelSelector, ObjectMeta
from controller_manager.controllers.workloads._templatehash import template_hash
from controller_manager.controllers.workloads.deployment._rollout import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    bounds,
    is_observed,
    oldest_first,
)
from kubeapi.apps.deployment import Deployment
from kubeapi.apps.replicaset import ReplicaSet, ReplicaSetSpec
from kubeapi.core.pod.template import PodTemplateSpec
from kubeclient.controller import owner_reference

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
HASH_LABEL = "pod-template-hash"
HISTORY_CHARS = 2000
"""The longest that the annotation of past revisions may be; the oldest are cut off."""

NOT_COPIED = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    )
)
"""Annotations of the Deployment that its ReplicaSets don't take over."""


def same_template(left: PodTemplateSpec, right: PodTemplateSpec) -> bool:
    """Tells whether they would make the same pods, whatever their hash labels."""
    return left.spec == right.spec and _comparable(left.metadata) == _comparable(right.metadata)


def _comparable(meta: ObjectMeta) -> ObjectMeta:
    labels = {key: value for key, value in (meta.labels or {}).items() if key != HASH_LABEL}
    return meta.model_copy(update={"labels": labels or None, "annotations": meta.annotations or None})


def find_new(deployment: Deployment, replica_sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """Finds the ReplicaSet of the Deployment's template; the oldest, should a bug have made several."""
    for rs in oldest_first(replica_sets):
        if same_template(rs.spec.template, deployment.spec.template):
            return rs
    return None


def revision_of(replica_set: ReplicaSet) -> int:
    """0 when it has none."""
    try:
        return int(replica_set.annotations.get(REVISION, "0"))
    except ValueError:
        return 0


def next_revision(old: Iterable[ReplicaSet]) -> int:
    return max(map(revision_of, old), default=0) + 1


def new_replica_set(deployment: Deployment, old: Sequence[ReplicaSet]) -> ReplicaSet:
    """Makes the ReplicaSet for the current template, without pods yet."""
    digest = template_hash(deployment.spec.template, deployment.status.collisionCount)
    template = deployment.spec.template.clone()
    template.metadata.labels = (template.metadata.labels or {}) | {HASH_LABEL: digest}
    selector = deployment.spec.selector.clone() if deployment.spec.selector is not None else LabelSelector()
    selector.matchLabels = (selector.matchLabels or {}) | {HASH_LABEL: digest}
    metadata = ObjectMeta(
        name=f"{deployment.name}-{digest}",
        namespace=deployment.namespace,
        labels=dict(template.metadata.labels),
        annotations=copied_annotations(deployment) | {REVISION: str(next_revision(old))} | size_annotations(deployment),
        ownerReferences=[owner_reference(deployment)],
    )
    spec = ReplicaSetSpec(
        replicas=0, minReadySeconds=deployment.spec.minReadySeconds, selector=selector, template=template
    )
    return ReplicaSet(metadata=metadata, spec=spec)


def copied_annotations(deployment: Deployment) -> dict[str, str]:
    return {name: value for name, value in deployment.annotations.items() if name not in NOT_COPIED}


def size_annotations(deployment: Deployment) -> dict[str, str]:
    """Notes what the ReplicaSet was last sized for; proportional scaling reads it."""
    limits = bounds(deployment)
    return {DESIRED_REPLICAS: str(limits.replicas), MAX_REPLICAS: str(limits.most_pods)}


def corrected(deployment: Deployment, new: ReplicaSet, old: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """Corrects annotations and minReadySeconds of the current template's ReplicaSet; None when they are right already.

    When the Deployment went back to an older template, that revision becomes the newest.
    """
    annotations = dict(new.annotations) | copied_annotations(deployment)
    revision, current = next_revision(old), revision_of(new)
    if current < revision:
        annotations[REVISION] = str(revision)
        if current:
            annotations[REVISION_HISTORY] = _with_past(annotations.get(REVISION_HISTORY, ""), str(current))
    min_ready = deployment.spec.minReadySeconds
    if annotations == new.annotations and (new.spec.minReadySeconds or 0) == (min_ready or 0):
        return None
    changed = new.clone()
    changed.metadata.annotations = annotations
    changed.spec.minReadySeconds = min_ready
    return changed


def _with_past(history: str, revision: str) -> str:
    past = [*(item for item in history.split(",") if item), revision]
    while len(past) > 1 and len(",".join(past)) > HISTORY_CHARS:
        past.pop(0)
    return ",".join(past)


def resized(deployment: Deployment, replica_set: ReplicaSet, replicas: int) -> ReplicaSet | None:
    """Returns a copy of this size, noting what it was sized for; None when both are so already."""
    annotations = size_annotations(deployment)
    if replica_set.spec.replicas == replicas and annotations.items() <= replica_set.annotations.items():
        return None
    changed = replica_set.clone()
    changed.spec.replicas = replicas
    changed.metadata.annotations = (changed.metadata.annotations or {}) | annotations
    return changed


def expendable(deployment: Deployment, old: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Lists old ReplicaSets beyond `revisionHistoryLimit` that surely have no pods, the oldest revisions first."""
    limit = deployment.spec.revisionHistoryLimit
    if limit is None:
        return []
    alive = [rs for rs in old if rs.metadata.deletionTimestamp is None]
    surplus = len(alive) - limit
    if surplus <= 0:
        return []
    by_revision = sorted(alive, key=lambda rs: (revision_of(rs), rs.metadata.creationTimestamp or ""))
    return [rs for rs in by_revision[:surplus] if is_observed(rs) and rs.spec.replicas == rs.status.replicas == 0]
