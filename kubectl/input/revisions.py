"""The revisions of a workload: a Deployment's ReplicaSets, or the ControllerRevisions of another."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.input.targets import Target
from kubectl.invocation.command import CommandContext

REVISION = "deployment.kubernetes.io/revision"
HASH_LABEL = "pod-template-hash"


def revisions(context: CommandContext, target: Target, owner: Dict) -> dict[int, Dict]:
    """Maps each revision to the object that keeps it, oldest first."""
    kind = "ReplicaSet" if target.kind.kind == "Deployment" else "ControllerRevision"
    path = context.discovery.by_kind("apps/v1", kind).path(target.namespace)
    uid = owner["metadata"]["uid"]
    kept = {}
    for item in context.api.list(path)["items"]:
        owners = item["metadata"].get("ownerReferences") or ()
        number = item.get("revision") or (item["metadata"].get("annotations") or {}).get(REVISION)
        if number and any(owner["uid"] == uid and owner.get("controller") for owner in owners):
            kept[int(number)] = item
    return dict(sorted(kept.items()))


def template_of(revision: Dict) -> Dict:
    """Returns the pod template of a revision, as its owner had it."""
    content = revision["spec"] if "spec" in revision else revision["data"]["spec"]
    template = {key: value for key, value in content["template"].items() if key != "$patch"}
    labels = {key: value for key, value in template["metadata"].get("labels", {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}
