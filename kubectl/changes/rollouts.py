"""What `rollout status` says of each kind that has rollouts, and whether the rollout is over."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.invocation.command import UsageError

_ONLY_ROLLING = "rollout status is only available for RollingUpdate strategy type"


def rollout_status(obj: Dict) -> tuple[str, bool]:
    """(message, True once it is over). Raises: UsageError for one that has failed, or that has no rollouts."""
    return _STATUS[obj["kind"]](obj)


def _is_observed(obj: Dict) -> bool:
    return int(obj.get("status", {}).get("observedGeneration", 0)) >= int(obj["metadata"].get("generation", 0))


def _deployment(deployment: Dict) -> tuple[str, bool]:
    name, spec, status = deployment["metadata"]["name"], deployment["spec"], deployment.get("status", {})
    if not _is_observed(deployment):
        return "Waiting for deployment spec update to be observed...", False
    for condition in status.get("conditions") or ():
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            raise UsageError(f'deployment "{name}" exceeded its progress deadline')
    desired, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    total, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    if updated < desired:
        return f"{waiting}{updated} out of {desired} new replicas have been updated...", False
    if total > updated:
        return f"{waiting}{total - updated} old replicas are pending termination...", False
    if available < updated:
        return f"{waiting}{available} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True


def _daemonset(daemon_set: Dict) -> tuple[str, bool]:
    name, status = daemon_set["metadata"]["name"], daemon_set.get("status", {})
    if daemon_set["spec"]["updateStrategy"]["type"] != "RollingUpdate":
        raise UsageError(_ONLY_ROLLING)
    if not _is_observed(daemon_set):
        return "Waiting for daemon set spec update to be observed...", False
    desired = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    waiting = f'Waiting for daemon set "{name}" rollout to finish: '
    if updated < desired:
        return f"{waiting}{updated} out of {desired} new pods have been updated...", False
    if available < desired:
        return f"{waiting}{available} of {desired} updated pods are available...", False
    return f'daemon set "{name}" successfully rolled out', True


def _statefulset(stateful_set: Dict) -> tuple[str, bool]:
    spec, status = stateful_set["spec"], stateful_set.get("status", {})
    if spec["updateStrategy"]["type"] != "RollingUpdate":
        raise UsageError(_ONLY_ROLLING)
    if not status.get("observedGeneration") or not _is_observed(stateful_set):
        return "Waiting for statefulset spec update to be observed...", False
    replicas, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    if (missing := replicas - status.get("readyReplicas", 0)) > 0:
        return f"Waiting for {missing} pods to be ready...", False
    partition = (spec["updateStrategy"].get("rollingUpdate") or {}).get("partition")
    if partition is not None:  # the API server sets it where nobody did
        if updated < (wanted := replicas - partition):
            done = f"{updated} out of {wanted} new pods have been updated..."
            return f"Waiting for partitioned roll out to finish: {done}", False
        return f"partitioned roll out complete: {updated} new pods have been updated...", True
    update, current = status.get("updateRevision", ""), status.get("currentRevision", "")
    if update != current:
        return f"waiting for statefulset rolling update to complete {updated} pods at revision {update}...", False
    count = status.get("currentReplicas", 0)
    return f"statefulset rolling update complete {count} pods at revision {current}...", True


_STATUS = {"Deployment": _deployment, "DaemonSet": _daemonset, "StatefulSet": _statefulset}
