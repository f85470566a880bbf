"""Checks and columns that controllers of pods share: the selector, rolling updates, counts in `status`.

Source: Kubernetes documentation, "Deployments", "ReplicaSet".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.columns import label_text, selector_text
from apimachinery.meta import LabelSelector
from apimachinery.model import Int32, Int64, Model, to_dict
from apimachinery.names import dns_label_errors
from apimachinery.resource import Column
from apimachinery.selectors import selector_of
from apimachinery.validation import IMMUTABLE, Errors, Path, percent_of
from kubeapi.core.pod.strategy.warnings import pod_warnings
from kubeapi.core.pod.template import PodTemplateSpec
from kubeapi.core.pod.validation.pod import check_always_template


def check_selected_template(
    errors: Errors, selector: LabelSelector | None, template: PodTemplateSpec, kind: str
) -> None:
    """Requires a selector that is not empty, and a template whose labels it matches and whose pods restart always.

    The template is not looked at while the selector is wrong, as upstream has it.
    """
    at: Path = ("spec", "selector")
    if selector is None:
        errors.required(at)
    else:
        before = len(errors)
        errors.check_selector(at, selector)
        if not selector.matchLabels and not selector.matchExpressions:
            errors.invalid(at, {}, f"empty selector is invalid for {kind}")
        elif len(errors) > before:
            errors.invalid(at, to_dict(selector), "invalid label selector")
            return
    path: Path = ("spec", "template")
    labels = template.metadata.labels
    if selector is None or not selector_of(selector).matches(labels or {}):
        errors.invalid((*path, "metadata", "labels"), labels, "`selector` does not match template `labels`")
    check_always_template(errors, path, template, "ReplicaSet")


def check_selector_kept(errors: Errors, selector: LabelSelector | None, old: LabelSelector | None) -> None:
    if selector != old:
        errors.invalid(("spec", "selector"), None if selector is None else to_dict(selector), IMMUTABLE)


def name_warnings(name: str) -> list[str]:
    """Warns about the name of a controller whose pods' names, and so their hostnames, begin with it."""
    messages = dns_label_errors(name)
    if not messages:
        return []
    why = "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended"
    return [f"metadata.name: {why}: [{' '.join(messages)}]"]


def template_warnings(template: PodTemplateSpec, path: Path = ("spec",)) -> list[str]:
    """`path` is that of the spec that has the template."""
    return pod_warnings((*path, "template"), template.spec, template.metadata.annotations or {})


def check_rolling_update(
    errors: Errors, path: Path, max_unavailable: int | str | None, max_surge: int | str | None
) -> None:
    errors.check_int_or_percent((*path, "maxUnavailable"), max_unavailable)
    errors.check_int_or_percent((*path, "maxSurge"), max_surge)
    if percent_of(max_unavailable) == 0 and percent_of(max_surge) == 0:
        errors.invalid((*path, "maxUnavailable"), max_unavailable, "may not be 0 when `maxSurge` is 0")
    errors.check_at_most_all((*path, "maxUnavailable"), max_unavailable)


def check_collisions(errors: Errors, count: int | None, old: int | None) -> None:
    """Checks `status.collisionCount`, which only grows."""
    errors.check_not_negative(("status", "collisionCount"), count)
    if (count or 0) < (old or 0):
        errors.invalid(("status", "collisionCount"), count or 0, "cannot be decremented")


def check_counts(errors: Errors, status: Model, parts: Iterable[str]) -> None:
    """Checks counts of pods; each of `parts` must not exceed `status.replicas`."""
    total = getattr(status, "replicas", None) or 0
    errors.check_not_negative(("status", "replicas"), total)
    errors.check_not_negative(("status", "observedGeneration"), getattr(status, "observedGeneration", None))
    for name in parts:
        count = getattr(status, name) or 0
        errors.check_not_negative(("status", name), count)
        if count > total:
            errors.invalid(("status", name), count, "cannot be greater than status.replicas")
    available, ready = getattr(status, "availableReplicas", None) or 0, getattr(status, "readyReplicas", None) or 0
    if available > ready:
        errors.invalid(("status", "availableReplicas"), available, "cannot be greater than readyReplicas")


class ReplicaCounts(Model):
    """The counts in the status of a ReplicaSet or ReplicationController."""

    replicas: Int32 = 0
    """The number of pods."""
    fullyLabeledReplicas: Int32 | None = None
    """The number of pods that have all labels of the template."""
    readyReplicas: Int32 | None = None
    """The number of ready pods."""
    availableReplicas: Int32 | None = None
    """The number of pods that have been ready for minReadySeconds."""
    observedGeneration: Int64 | None = None
    """The metadata.generation that the controller acted on last."""


def _joined(obj: Any, field: str) -> str:
    template: PodTemplateSpec | None = obj.spec.template
    return ",".join(getattr(container, field) or "" for container in template.spec.containers) if template else ""


def _selector(obj: Any, now: float) -> str:
    selector: LabelSelector | dict[str, str] | None = obj.spec.selector
    return label_text(selector) if isinstance(selector, dict) else selector_text(selector)


REPLICA_COUNTS = (
    Column("Desired", lambda obj, now: obj.spec.replicas or 0, "The desired number of pods.", "integer"),
    Column("Current", lambda obj, now: obj.status.replicas, "The number of pods.", "integer"),
    Column("Ready", lambda obj, now: obj.status.readyReplicas or 0, "The ready pods.", "integer"),
)
READY = Column(
    "Ready",
    lambda obj, now: f"{obj.status.readyReplicas or 0}/{obj.spec.replicas}",
    "The ready pods, of the desired ones.",
)
WORKLOAD_WIDE = (
    Column("Containers", lambda obj, now: _joined(obj, "name"), "The containers' names.", priority=1),
    Column("Images", lambda obj, now: _joined(obj, "image"), "The containers' images.", priority=1),
    Column("Selector", _selector, "The selector of the pods.", priority=1),
)
