"""Creates and deletes the pods of a controller's object, tells of each by an event, and never does it twice.

What was done counts as expected until the cache shows it: a count of the cache would lead to doing it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apimachinery.errors import StatusError, namespace_is_terminating
from apimachinery.meta import Object, ObjectMeta
from apimachinery.names import generate_name
from controller_manager.ownership import (
    Expectations,
    create_surely,
    delete_surely,
    in_parallel,
    slow_start,
)
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.template import PodTemplateSpec
from kubeclient.controller import ControllerContext, latest, owner_key, owner_reference
from kubeclient.informer import Informer


class PodControl:
    """The pods of all objects of one kind."""

    def __init__(self, context: ControllerContext, kind: str, pods: Informer[Pod]) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._kind, self._pods = kind, pods
        self._expectations = Expectations(context.clock.monotonic)

    def note(self, old: Pod | None, new: Pod | None) -> None:
        """Takes a change that the cache shows."""
        pod = latest(old, new)
        key = owner_key(pod, self._kind)
        if key and old is None:
            self._expectations.creation_seen(key)
        if key and (new is None or new.metadata.deletionTimestamp is not None):
            self._expectations.deletion_seen(key, pod.metadata.uid or "")

    def settled(self, key: str) -> bool:
        """Tells whether the cache shows all that was done for the object."""
        return self._expectations.fulfilled(key)

    def forget(self, key: str) -> None:
        self._expectations.forget(key)

    async def apply(self, owner: Object, *, create: Sequence[Pod] = (), delete: Sequence[Pod] = ()) -> list[Exception]:
        """Returns what went wrong; what could be done is done nevertheless."""
        if not create and not delete:
            return []
        doomed = (pod.metadata.uid or "" for pod in delete)
        self._expectations.expect(owner.key, creations=len(create), deletions=doomed)
        return await self._create(owner, create) + await self._delete(owner, delete)

    async def _create(self, owner: Object, pods: Sequence[Pod]) -> list[Exception]:
        async def work(pod: Pod) -> None:
            try:
                await create_surely(self._rest, pod, self._clock)
            except StatusError as error:
                self._expectations.creation_seen(owner.key)
                if namespace_is_terminating(error):
                    return
                self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
                raise
            self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {pod.name}")

        tried, errors = await slow_start(pods, work)
        for _ in range(len(pods) - tried):
            self._expectations.creation_seen(owner.key)
        return errors

    async def _delete(self, owner: Object, pods: Sequence[Pod]) -> list[Exception]:
        async def work(pod: Pod) -> None:
            try:
                await delete_surely(self._rest, pod, self._clock)
            except StatusError as error:
                self._expectations.deletion_seen(owner.key, pod.metadata.uid or "")
                self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
                raise
            self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")

        for pod in pods:  # gone between the decision and the expectation: nothing more will be seen of it
            if self._pods.get(pod.key) is None:
                self._expectations.deletion_seen(owner.key, pod.metadata.uid or "")
        return await in_parallel(pods, work)


def pod_of(
    owner: Object, template: PodTemplateSpec, labels: Iterable[tuple[str, str]] = (), *, name_base: str = ""
) -> Pod:
    """Makes a pod of the template, with `labels` added and a name chosen here (see `create_surely`) that begins with
    `name_base`, by default with the owner's name."""
    base = name_base or f"{owner.name}-"
    metadata = ObjectMeta(
        name=generate_name(base),
        generateName=base,
        namespace=owner.namespace,
        labels={**(template.metadata.labels or {}), **dict(labels)} or None,
        annotations=template.metadata.annotations,
        finalizers=template.metadata.finalizers,
        ownerReferences=[owner_reference(owner)],
    )
    return Pod(metadata=metadata, spec=template.spec)
