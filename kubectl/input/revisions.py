"""The revisions of a Deployment: its ReplicaSets."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.input.targets import Target
from kubectl.invocation.command import CommandContext

REVISION = "deployment.kubernetes.io/revision"


def revisions(context: CommandContext, target: Target, deployment: Dict) -> dict[int, Dict]:
    """Revision -> ReplicaSet, oldest first."""
    path = context.discovery.by_kind("apps/v1", "ReplicaSet").path(target.namespace)
    uid = deployment["metadata"]["uid"]
    replicasets = {}
    for item in context.api.list(path)["items"]:
        owners = item["metadata"].get("ownerReferences") or ()
        revision = (item["metadata"].get("annotations") or {}).get(REVISION)
        if revision and any(owner["uid"] == uid and owner.get("controller") for owner in owners):
            replicasets[int(revision)] = item
    return dict(sorted(replicasets.items()))
