"""Which lists of which kinds server-side apply merges item by item: Kubernetes' own, and no other."""

from __future__ import annotations

from apimachinery.catalogue import load_catalogue
from apiserver.managedfields.shapes import LEAF, LIST_MAP, LIST_SET, Shape, fields_of, shape_of
from kubeapi.apps.deployment import DeploymentSpec
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.pod.spec import PodSpec, ResourceRequirements
from kubeapi.core.pod.status import PodStatus
from kubeapi.core.service.model import ServiceSpec

CONTAINER = {
    "env": "name",
    "ports": "containerPort protocol",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
}
MERGED = {
    "ObjectMeta": {"finalizers": "", "ownerReferences": "uid"},
    "CSIDriverSpec": {"volumeLifecycleModes": ""},
    "CSINodeSpec": {"drivers": "name"},
    "Container": CONTAINER,
    "EphemeralContainer": CONTAINER,
    "NodeSpec": {"podCIDRs": ""},
    "NodeStatus": {"addresses": "type", "conditions": "type"},
    "PodSpec": {
        "containers": "name",
        "ephemeralContainers": "name",
        "hostAliases": "ip",
        "imagePullSecrets": "name",
        "initContainers": "name",
        "resourceClaims": "name",
        "schedulingGates": "name",
        "topologySpreadConstraints": "topologyKey whenUnsatisfiable",
        "volumes": "name",
    },
    "PodStatus": {"conditions": "type", "podIPs": "ip", "resourceClaimStatuses": "name"},
    "ResourceClaimStatus": {"devices": "device driver pool shareID", "reservedFor": "uid"},
    "ResourceRequirements": {"claims": "name"},
    "ServiceAccount": {"secrets": "name"},
    "ServiceSpec": {"ports": "port protocol"},
    "UncountedTerminatedPods": {"failed": "", "succeeded": ""},
    "MutatingAdmissionPolicySpec": {"matchConditions": "name"},
    "MutatingWebhookConfiguration": {"webhooks": "name"},
    "MutatingWebhook": {"matchConditions": "name"},
    "ValidatingAdmissionPolicySpec": {"matchConditions": "name", "variables": "name"},
    "ValidatingAdmissionPolicyBindingSpec": {"validationActions": ""},
    "ValidatingWebhookConfiguration": {"webhooks": "name"},
    "ValidatingWebhook": {"matchConditions": "name"},
}


def merged_lists(shape: Shape, found: dict[str, dict[str, str]], seen: set[type]) -> None:
    if shape.model is None or shape.kind == LEAF or shape.model in seen:
        return
    seen.add(shape.model)
    for name, field in fields_of(shape.model).items():
        if field.kind in (LIST_MAP, LIST_SET):
            found.setdefault(shape.model.__name__, {})[name] = " ".join(key for key, _ in field.keys)
        inner: Shape | None = field
        while inner is not None:
            merged_lists(inner, found, seen)
            inner = inner.item


def test_all_lists_that_merge_by_item() -> None:
    found: dict[str, dict[str, str]] = {}
    seen: set[type] = set()
    for resource in load_catalogue():
        merged_lists(shape_of(resource.model), found, seen)
    assert {model: lists for model, lists in found.items() if not _is_plain_status(model, lists)} == MERGED


def _is_plain_status(model: str, lists: dict[str, str]) -> bool:
    """Tells whether all that merges by item is the conditions, as in the status of most kinds."""
    return model.endswith("Status") and lists == {"conditions": "type"}


def test_maps_are_owned_by_key_unless_they_are_atomic() -> None:
    kinds = {
        (model, name): fields_of(model)[name].kind
        for model, name in [
            (ConfigMap, "data"), (ResourceRequirements, "limits"), (PodSpec, "nodeSelector"), (PodSpec, "tolerations"),
            (ServiceSpec, "selector"), (DeploymentSpec, "selector"), (PodStatus, "hostIPs"),
            (PodStatus, "containerStatuses"),
        ]
    }  # fmt: skip
    assert list(kinds.values()) == ["map", "map", "leaf", "leaf", "leaf", "leaf", "leaf", "leaf"]


def test_a_struct_that_may_be_absent_can_be_owned_itself() -> None:
    always = {name for name, field in fields_of(DeploymentSpec).items() if field.zero == {}}
    assert always == {"strategy", "template"}
