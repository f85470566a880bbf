"""`pods/eviction` (policy/v1): a deletion that a disruption budget may refuse."""

from __future__ import annotations

from apimachinery.conditions import set_condition
from apimachinery.errors import BadRequest
from apimachinery.meta import DeleteOptions
from apimachinery.model import decode
from apimachinery.times import format_time
from apiserver.handlers._shared import CREATED, receive, warning_headers
from apiserver.registry.changes import Edit
from apiserver.registry.deletion import check_preconditions
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.message import Request, Response, json_response
from apiserver.request.query import check_delete_options
from apiserver.subresources._subresource import Subresource
from apiserver.subresources.pods._budget import spend
from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodCondition
from kubeapi.policy.eviction import RESOURCE as EVICTIONS


async def evict(request: Request, store: Store[Pod], *, stores: Stores, clock: Clock) -> Response:
    """Answers 201 with a Status, also when the pod is being deleted already. The pod says why it goes."""
    request.refuse_transformed()
    info = request.info
    eviction, options, warnings = await receive(request, EVICTIONS, "CreateOptions")
    if eviction.metadata.name != info.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    warnings += await store.admit(
        info.namespace, info.name, eviction, request.user, subresource="eviction", dry_run=options.dry_run
    )
    deletion = check_delete_options(eviction.deleteOptions or DeleteOptions())
    dry_run = options.dry_run or bool(deletion.dryRun)
    entry = await store.read(info.namespace, info.name)
    pod = decode(Pod, entry.value)
    check_preconditions(store.resource, info.name, pod.metadata, deletion)
    await spend(stores, pod, request.user, clock.now(), dry_run=dry_run)
    if not dry_run:

        def note(pod: Pod) -> Pod:
            check_preconditions(store.resource, info.name, pod.metadata, deletion)
            return with_reason(pod, format_time(clock.now()))

        await store.update(info.namespace, info.name, Edit(note), request.user, options, subresource="status")
        if deletion.preconditions is not None:
            deletion.preconditions.resourceVersion = None  # that was before the note
    await store.delete(info.namespace, info.name, deletion, request.user, dry_run=dry_run)
    return json_response(CREATED, 201, warning_headers(warnings))


def with_reason(pod: Pod, now: str) -> Pod:
    """Returns a copy of the pod whose status says that it has been evicted."""
    evicted = pod.clone()
    condition = PodCondition(
        type="DisruptionTarget",
        status="True",
        reason="EvictionByEvictionAPI",
        message="Eviction API: evicting",
        lastTransitionTime=now,
    )
    evicted.status.conditions = set_condition(pod.status.conditions, condition)
    return evicted


SUBRESOURCE = Subresource("pods", "eviction", {"create": evict}, kind="Eviction", group="policy")
