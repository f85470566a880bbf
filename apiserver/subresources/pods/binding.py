"""`pods/binding`: gives a pod its node, once and for all.

Source: Kubernetes API reference, "Binding".
"""

from __future__ import annotations

from apimachinery.conditions import set_condition
from apimachinery.errors import BadRequest, invalid_object, not_supported, object_conflict, required
from apimachinery.resource import Resource
from apimachinery.times import format_time
from apiserver.handlers._shared import CREATED, receive, warning_headers
from apiserver.registry.changes import Edit
from apiserver.registry.deletion import check_uid
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response, json_response
from apiserver.subresources._subresource import Subresource
from componentbase.clock import Clock
from kubeapi.core.binding import RESOURCE as BINDINGS
from kubeapi.core.binding import Binding
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodCondition


async def bind(request: Request, store: Store[Pod], *, clock: Clock) -> Response:
    return await bind_pod(request, store, request.info.name, clock)


async def bind_pod(request: Request, pods: Store[Pod], name: str, clock: Clock) -> Response:
    """Answers 201 with a Status; 409 when the pod has a node already, is being deleted, or is another by its uid.

    `name` "": the pod is the one that the Binding is named after.
    """
    request.refuse_transformed()
    binding, options, warnings = await receive(request, BINDINGS, "CreateOptions")
    name = name or binding.name
    _validate(binding, name)
    now = format_time(clock.now())
    change = Edit[Pod](lambda pod: assign(pods.resource, pod, binding, now))
    warnings += await pods.admit(
        request.info.namespace, name, binding, request.user, subresource="binding", dry_run=options.dry_run
    )
    await pods.update(request.info.namespace, name, change, request.user, options, subresource="binding")
    return json_response(CREATED, 201, warning_headers(warnings))


def _validate(binding: Binding, pod_name: str) -> None:
    errors = []
    if binding.metadata.name not in (None, "", pod_name):
        raise BadRequest("name in URL does not match name in Binding object")
    if binding.target.kind not in (None, "", "Node"):
        errors.append(not_supported("target.kind", binding.target.kind, ("Node", "<empty>")))
    if not pod_name:
        errors.append(required("metadata.name"))
    if not binding.target.name:
        errors.append(required("target.name"))
    if errors:
        raise invalid_object("Binding", "", pod_name, errors)


def assign(resource: Resource[Pod], pod: Pod, binding: Binding, now: str) -> Pod:
    """The pod on its node. Raises: Conflict, Invalid."""
    name, meta = pod.name, pod.metadata
    check_uid(resource, pod, binding.metadata.uid or "")
    if meta.deletionTimestamp is not None:
        why = f"pod {name} is being deleted, cannot be assigned to a host"
        raise object_conflict("pods/binding", "", name, why)
    if pod.spec.nodeName:
        why = f'pod {name} is already assigned to node "{pod.spec.nodeName}"'
        raise object_conflict("pods/binding", "", name, why)
    if pod.spec.schedulingGates:
        why = f"pod {name} has non-empty .spec.schedulingGates"
        raise object_conflict("pods/binding", "", name, why)
    bound = pod.clone()
    bound.spec.nodeName = binding.target.name
    if binding.metadata.annotations:
        bound.metadata.annotations = (meta.annotations or {}) | binding.metadata.annotations
    if binding.metadata.labels:
        bound.metadata.labels = (meta.labels or {}) | binding.metadata.labels
    condition = PodCondition(type="PodScheduled", status="True", lastTransitionTime=now)
    bound.status.nominatedNodeName = None  # the promise is kept, or void
    bound.status.conditions = set_condition(bound.status.conditions, condition)
    return bound


SUBRESOURCE = Subresource("pods", "binding", {"create": bind}, kind="Binding")
