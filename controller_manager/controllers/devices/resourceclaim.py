"""Resource claims: makes those that pods have templates of, and takes away the devices that nobody uses any more.

The scheduler allocates devices and notes the pods they are for. Source: Kubernetes documentation, "Dynamic Resource
Allocation".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apimachinery.errors import AlreadyExists, NotFound, StatusError, quote
from apimachinery.meta import controller_of
from controller_manager.controllers.devices._claims import (
    claim_from,
    claim_of,
    claims_of,
    is_done,
    needs_none,
    released,
    reserved,
)
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import PodResourceClaim
from kubeapi.resource.resourceclaim.model import FINALIZER, ResourceClaim, ResourceClaimConsumerReference
from kubeapi.resource.resourceclaim.pods import is_made_for
from kubeapi.resource.resourceclaimtemplate import ResourceClaimTemplate
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch
from kubeclient.rest import STRATEGIC_MERGE_PATCH

_POD, _CLAIM = "pod:", "claim:"
_CLAIM_INDEX, _TEMPLATE_INDEX = "resourceclaims", "resourceclaimtemplates"
_NAMES = 5  # that are tried for a claim before its pod comes back later


class _NotMade(Exception):
    """A claim can't be made yet; the text is for the pod's events."""


class ResourceClaims:
    """Keys are pods and claims: "pod:NAMESPACE/NAME", "claim:NAMESPACE/NAME"."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder = context.rest, context.recorder
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(ResourceClaim)
        self._templates = context.informers.of(ResourceClaimTemplate)
        self._pods.add_index(_CLAIM_INDEX, lambda pod: [f"{pod.namespace}/{name}" for name in claims_of(pod)])
        self._pods.add_index(_TEMPLATE_INDEX, _templates_of)

    def of_pod(self, old: Pod | None, new: Pod | None) -> Iterator[str]:
        pod = new or old
        assert pod is not None
        if not pod.spec.resourceClaims:
            return
        if new is None or is_done(new):
            yield from (f"{_CLAIM}{pod.namespace}/{name}" for name in claims_of(pod))
        elif new.metadata.deletionTimestamp is None:
            yield f"{_POD}{new.key}"

    def of_claim(self, old: ResourceClaim | None, new: ResourceClaim | None) -> Iterator[str]:
        claim = new or old
        assert claim is not None
        if new is not None:
            yield f"{_CLAIM}{new.key}"
        yield from self._pods_by(_CLAIM_INDEX, claim.key)

    def of_template(self, old: ResourceClaimTemplate | None, new: ResourceClaimTemplate | None) -> Iterable[str]:
        """Wakes the pods that wait for a template."""
        return self._pods_by(_TEMPLATE_INDEX, new.key) if old is None and new is not None else ()

    def _pods_by(self, index: str, key: str) -> Iterator[str]:
        return (f"{_POD}{pod.key}" for pod in self._pods.by_index(index, key))

    async def reconcile(self, key: str) -> Result:
        if key.startswith(_POD):
            pod = self._pods.get(key.removeprefix(_POD))
            if pod is not None and pod.metadata.deletionTimestamp is None and not is_done(pod):
                await self._provide(pod)
        elif (claim := self._claims.get(key.removeprefix(_CLAIM))) is not None:
            await self._tidy(claim)
        return DONE

    # Pods

    async def _provide(self, pod: Pod) -> None:
        """Makes the claims that the pod lacks, and reserves them for one that no scheduler has placed."""
        made: dict[str, str] = {}
        for entry in pod.spec.resourceClaims or ():
            try:
                if name := await self._ensure(pod, entry):
                    made[entry.name] = name
            except (_NotMade, StatusError) as error:
                text = f"PodResourceClaim {entry.name}: {error}"
                self._recorder.event(pod, "Warning", "FailedResourceClaimCreation", text)
                if isinstance(error, StatusError):
                    raise
        if made:
            entries = [{"name": entry, "resourceClaimName": name} for entry, name in made.items()]
            patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"resourceClaimStatuses": entries}}
            await self._rest.patch(
                Pod, pod.name, pod.namespace, patch, content_type=STRATEGIC_MERGE_PATCH, subresource="status"
            )
        elif pod.spec.nodeName:
            await self._reserve(pod)

    async def _ensure(self, pod: Pod, entry: PodResourceClaim) -> str:
        """Returns the name of a claim that the pod's status doesn't have yet. Raises: _NotMade, StatusError."""
        if not entry.resourceClaimTemplateName or needs_none(pod, entry):
            return ""
        noted = claim_of(pod, entry)
        existing = self._claims.get(f"{pod.namespace}/{noted}") if noted else None
        if existing is not None and is_made_for(existing, pod):
            return ""
        template = self._templates.get(f"{pod.namespace}/{entry.resourceClaimTemplateName}")
        if template is None:
            name = quote(entry.resourceClaimTemplateName)
            missing = f"resourceclaimtemplate.resource.k8s.io {name} not found"
            raise _NotMade(f"resource claim template {name}: {missing}")
        for attempt in range(_NAMES):
            claim = claim_from(template, pod, entry, attempt)
            if await self._create(pod, claim):
                return claim.name if claim.name != noted else ""
        raise _NotMade("create ResourceClaim : all names are taken")

    async def _create(self, pod: Pod, claim: ResourceClaim) -> bool:
        """Tells whether there is such a claim now; False where a stranger has its name."""
        existing = self._claims.get(claim.key)
        if existing is None:
            try:
                await self._rest.create(claim)
                return True
            except AlreadyExists:
                existing = await self._rest.get(ResourceClaim, claim.name, claim.namespace)
        return is_made_for(existing, pod)

    async def _reserve(self, pod: Pod) -> None:
        """Does what the scheduler does for its pods. Raises: StatusError."""
        for entry in pod.spec.resourceClaims or ():
            claim = self._claims.get(f"{pod.namespace}/{claim_of(pod, entry)}")
            if claim is None or (entry.resourceClaimTemplateName and not is_made_for(claim, pod)):
                continue
            if (changed := reserved(claim, pod)) is not None:
                await self._rest.update(changed, "status")

    # Claims

    async def _tidy(self, claim: ResourceClaim) -> None:
        """Raises: StatusError; a conflict where the scheduler has begun to use the claim."""
        users = claim.status.reservedFor or []
        gone = [user.uid for user in users if not await self._is_alive(claim, user)]
        status = released(claim, gone)
        if status != claim.status:
            changed = claim.clone()
            changed.status = status
            claim = await self._rest.update(changed, "status")
            if status.allocation is None:
                await self._unprotect(claim)
        elif claim.metadata.deletionTimestamp is not None and not status.reservedFor:
            await self._unprotect(claim)
        if not status.reservedFor and claim.metadata.deletionTimestamp is None:
            await self._delete_unneeded(claim)

    async def _unprotect(self, claim: ResourceClaim) -> None:
        finalizers = claim.metadata.finalizers or []
        if FINALIZER in finalizers:
            changed = claim.clone()
            changed.metadata.finalizers = [item for item in finalizers if item != FINALIZER] or None
            await self._rest.update(changed)

    async def _is_alive(self, claim: ResourceClaim, user: ResourceClaimConsumerReference) -> bool:
        """Asks the server about a pod that the cache doesn't have: the scheduler may be ahead of it."""
        if user.apiGroup or user.resource != "pods":
            raise ValueError(f"unsupported ReservedFor entry: {user}")
        pod = self._pods.get(f"{claim.namespace}/{user.name}")
        if pod is None:
            try:
                pod = await self._rest.get(Pod, user.name, claim.namespace)
            except NotFound:
                return False
        return pod.metadata.uid == user.uid and not is_done(pod)

    async def _delete_unneeded(self, claim: ResourceClaim) -> None:
        """Deletes a claim that was made for a pod which has ended; once the pod is gone, the garbage collector does."""
        owner = controller_of(claim)
        if owner is None or (owner.apiVersion, owner.kind) != ("v1", "Pod"):
            return
        pod = self._pods.get(f"{claim.namespace}/{owner.name}")
        if pod is not None and (pod.metadata.uid != owner.uid or is_done(pod)):
            await self._rest.delete(ResourceClaim, claim.name, claim.namespace, uid=claim.metadata.uid)


def _templates_of(pod: Pod) -> list[str]:
    entries = pod.spec.resourceClaims or ()
    return [
        f"{pod.namespace}/{entry.resourceClaimTemplateName}" for entry in entries if entry.resourceClaimTemplateName
    ]


CONTROLLER = ControllerSpec(
    "resourceclaim-controller",
    ResourceClaims,
    [
        Watch(Pod, ResourceClaims.of_pod),
        Watch(ResourceClaim, ResourceClaims.of_claim),
        Watch(ResourceClaimTemplate, ResourceClaims.of_template),
    ],
    service_account="resource-claim-controller",
    event_source="resource_claim",
)
