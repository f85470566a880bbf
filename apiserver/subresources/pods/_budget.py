"""Has a PodDisruptionBudget agree to the eviction of a pod: it counts the pod as gone before the pod is deleted.

Source: Kubernetes documentation, "API-initiated Eviction", "Unhealthy Pod Eviction Policy".
"""

from __future__ import annotations

from apimachinery.conditions import get_condition, is_true, set_condition
from apimachinery.errors import FieldError, Forbidden, StatusError, TooManyRequests, UnclassifiedError
from apimachinery.meta import Condition
from apimachinery.model import decode
from apimachinery.selectors import selector_of
from apimachinery.times import format_time
from apiserver.registry.changes import Edit
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.user import User
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import (
    ALWAYS_ALLOW,
    DISRUPTION_ALLOWED,
    INSUFFICIENT_PODS,
    SYNC_FAILED,
    PodDisruptionBudget,
)

REFUSAL = "Cannot evict pod as it would violate the pod's disruption budget."
RETRY_SECONDS = 10
MOST_DISRUPTED_PODS = 2000  # of one budget; more evictions wait until the controller has seen these


async def spend(stores: Stores, pod: Pod, user: User, now: float, *, dry_run: bool) -> None:
    """Counts the pod's eviction where a budget covers it. Raises: TooManyRequests and others for a refusal."""
    if is_terminal(pod.status.phase) or pod.status.phase == "Pending" or pod.metadata.deletionTimestamp is not None:
        return  # it is of no use to anyone
    store: Store[PodDisruptionBudget] = stores.find("poddisruptionbudgets", "policy")
    page = await store.storage.list(store.resource, pod.namespace)
    budgets = [
        budget for budget in (decode(PodDisruptionBudget, entry.value) for entry in page.entries) if covers(budget, pod)
    ]
    if len(budgets) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise UnclassifiedError(text)
    if not budgets or is_free(budgets[0], pod):
        return
    change = Edit[PodDisruptionBudget](lambda old: spent(old, pod.name, now))
    if dry_run:
        spent(budgets[0], pod.name, now)
    else:
        await store.update(pod.namespace, budgets[0].name, change, user, subresource="status")


def covers(budget: PodDisruptionBudget, pod: Pod) -> bool:
    return budget.spec.selector is not None and selector_of(budget.spec.selector).matches(pod.labels)


def is_free(budget: PodDisruptionBudget, pod: Pod) -> bool:
    """Tells whether the pod takes nothing from its budget: it is not ready, and the policy lets such pods go."""
    if is_true(pod.status.conditions, "Ready"):
        return False
    status = budget.status
    if budget.spec.unhealthyPodEvictionPolicy == ALWAYS_ALLOW:
        return True
    return 0 < status.desiredHealthy <= status.currentHealthy


def spent(budget: PodDisruptionBudget, pod_name: str, now: float) -> PodDisruptionBudget:
    """Returns the budget with one disruption less. Raises: TooManyRequests, Forbidden."""
    status = budget.status
    if (status.observedGeneration or 0) < (budget.metadata.generation or 0):
        text = f"The disruption budget {budget.name} is still being processed by the server."
        raise _refusal(text, RETRY_SECONDS)
    if len(status.disruptedPods or {}) > MOST_DISRUPTED_PODS:
        text = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise Forbidden(f'pods "{pod_name}" is forbidden: {text}')
    if status.disruptionsAllowed <= 0:
        failed = get_condition(status.conditions, DISRUPTION_ALLOWED)
        if failed is not None and failed.reason == SYNC_FAILED:
            text = (
                f"The disruption budget {budget.name} does not allow evicting pods currently because it failed sync: "
            )
            raise _refusal(text + failed.message)
        counts = f"needs {status.desiredHealthy} healthy pods and has {status.currentHealthy} currently"
        raise _refusal(f"The disruption budget {budget.name} {counts}")
    changed = budget.clone()
    changed.status.disruptionsAllowed -= 1
    changed.status.disruptedPods = {**(status.disruptedPods or {}), pod_name: format_time(now)}
    if changed.status.disruptionsAllowed == 0:
        none_left = Condition(
            type=DISRUPTION_ALLOWED,
            status="False",
            reason=INSUFFICIENT_PODS,
            observedGeneration=status.observedGeneration,
            lastTransitionTime=format_time(now),
        )
        changed.status.conditions = set_condition(status.conditions, none_left)
    return changed


def _refusal(text: str, retry_seconds: int | None = None) -> StatusError:
    return TooManyRequests(REFUSAL, {}, [FieldError("DisruptionBudget", "", text)], retry_seconds)
