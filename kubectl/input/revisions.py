"""The revisions of a Deployment: its ReplicaSets."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.input.manifests import Target
from kubectl.invocation.context import CommandContext

REVISION = "deployment.kubernetes.io/revision"


def revisions(context: CommandContext, target: Target, deployment: Dict) -> dict[int, Dict]:
    """Revision -> ReplicaSet, oldest first."""
    path = context.discovery.by_kind("apps/v1", "ReplicaSet").path(target.namespace)
    uid = deployment["metadata"]["uid"]
    found = {}
    for item in context.api.list(path)["items"]:
        owners = item["metadata"].get("ownerReferences") or ()
        revision = (item["metadata"].get("annotations") or {}).get(REVISION)
        if revision and any(owner["uid"] == uid and owner.get("controller") for owner in owners):
            found[int(revision)] = item
    return dict(sorted(found.items()))
