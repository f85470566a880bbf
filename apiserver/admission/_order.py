"""The order in which admission plugins run.

Source: Kubernetes documentation, "Admission Controllers"; kube-apiserver's help on --enable-admission-plugins.
"""

from __future__ import annotations

_BEFORE_ADDED = (
    "NamespaceLifecycle",
    "LimitPodHardAntiAffinityTopology",
    "LimitRanger",
    "ServiceAccount",
    "NodeRestriction",
    "TaintNodesByCondition",
    "AlwaysPullImages",
    "PodSecurity",
    "Priority",
    "DefaultTolerationSeconds",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "PodTopologyLabels",
)
_AFTER_ADDED = (
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
)
"""Policies and webhooks see the object as all other plugins complete it; a quota is charged last."""

_PLACES = {name: place for place, name in enumerate((*_BEFORE_ADDED, "", *_AFTER_ADDED))}


def place_of(name: str) -> int:
    """Returns a plugin's place in upstream's order. One that upstream does not have comes before the policies, the
    webhooks and the quota."""
    return _PLACES.get(name, _PLACES[""])
