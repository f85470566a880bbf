"""Keeps the templates that a DaemonSet or StatefulSet has had, one ControllerRevision each. Decisions are pure.

Source: Kubernetes documentation, "ControllerRevision".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from apimachinery.errors import AlreadyExists, Conflict, NotFound
from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import from_dict, to_dict
from controller_manager.controllers.workloads._templatehash import template_hash
from kubeapi.apps.controllerrevision import ControllerRevision
from kubeapi.core.pod.template import PodTemplateSpec
from kubeclient.controller import owner_reference
from kubeclient.rest import RestClient

HASH_LABEL = "controller-revision-hash"
"""The label of revisions, and of pods, with the hash of their template."""


class HashCollision(Exception):
    """The name of a new revision belongs to another template: the owner's `collisionCount` has to be raised."""


def snapshot(template: PodTemplateSpec) -> dict[str, Any]:
    """Returns the data of a revision: a strategic merge patch that brings this template back."""
    return {"spec": {"template": {**to_dict(template), "$patch": "replace"}}}


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    """Returns the template that a revision has kept."""
    spec: Any = (revision.data or {}).get("spec") or {}
    content = {key: value for key, value in (spec.get("template") or {}).items() if key != "$patch"}
    return from_dict(PodTemplateSpec, content)


def in_order(revisions: Iterable[ControllerRevision]) -> list[ControllerRevision]:
    """Sorts by number, the newest last."""
    return sorted(revisions, key=lambda each: (each.revision, each.metadata.creationTimestamp or "", each.name))


def find_current(
    template: PodTemplateSpec, revisions: Iterable[ControllerRevision]
) -> tuple[ControllerRevision | None, list[ControllerRevision]]:
    """Returns the newest revision of this template, and the others in order."""
    data, ordered = snapshot(template), in_order(revisions)
    current = next((each for each in reversed(ordered) if each.data == data), None)
    return current, [each for each in ordered if each is not current]


async def forget_old(
    rest: RestClient, old: Sequence[ControllerRevision], live_names: Collection[str], limit: int | None
) -> None:
    """Deletes old revisions beyond the limit (None: 10; below 0: no limit) that no pod has, the oldest first."""
    limit = 10 if limit is None else limit
    unused = [each for each in old if each.name not in live_names]
    for revision in unused[: max(len(old) - limit, 0)] if limit >= 0 else ():
        with suppress(NotFound, Conflict):
            await rest.delete(ControllerRevision, revision.name, revision.namespace, uid=revision.metadata.uid)


async def keep_current(
    rest: RestClient,
    owner: Object,
    template: PodTemplateSpec,
    revisions: Iterable[ControllerRevision],
    collisions: int | None,
    hash_label: str = HASH_LABEL,
) -> tuple[ControllerRevision, list[ControllerRevision]]:
    """Makes the revision of the template, or has it be the newest again; returns it and the others in order.

    Raises: HashCollision, and as RestClient's methods.
    """
    current, old = find_current(template, revisions)
    number = max((each.revision for each in old), default=0) + 1
    if current is None:
        return await _create(rest, owner, template, number, collisions, hash_label), old
    if current.revision < number:
        changed = current.clone()
        changed.revision = number
        current = await rest.update(changed)
    return current, old


async def _create(
    rest: RestClient,
    owner: Object,
    template: PodTemplateSpec,
    number: int,
    collisions: int | None,
    hash_label: str,
) -> ControllerRevision:
    """Raises: HashCollision."""
    digest = template_hash(template, collisions)
    metadata = ObjectMeta(
        name=f"{owner.name}-{digest}",
        namespace=owner.namespace,
        labels={**(template.metadata.labels or {}), hash_label: digest},
        annotations=owner.annotations or None,
        ownerReferences=[owner_reference(owner)],
    )
    revision = ControllerRevision(metadata=metadata, data=snapshot(template), revision=number)
    try:
        return await rest.create(revision)
    except AlreadyExists:
        existing = await rest.get(ControllerRevision, revision.name, owner.namespace)
        if existing.data == revision.data and any(
            ref.uid == owner.metadata.uid for ref in existing.metadata.ownerReferences or ()
        ):
            return existing  # made a moment ago: the cache is behind
        raise HashCollision from None
