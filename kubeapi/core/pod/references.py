"""The objects that a pod names: Secrets, ConfigMaps and claims, all of its own namespace.

Its service account is not among them: `spec.serviceAccountName` is the only place for that.
Source: Kubernetes API reference, "PodSpec".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import PodSpec, all_containers
from kubeapi.core.pod.volumes import Volume

EnvironmentKind = Literal["Secret", "ConfigMap"]
SECRET: EnvironmentKind = "Secret"
CONFIG_MAP: EnvironmentKind = "ConfigMap"
CLAIM = "PersistentVolumeClaim"
RESOURCE_CLAIM = "ResourceClaim"

Reference = tuple[str, str]
"""Kind and name."""

_SOURCES_WITH_SECRET_REF = ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")


def pod_references(pod: Pod) -> frozenset[Reference]:
    """Returns what the volumes, the containers' variables, the pull secrets and the claims of a pod name."""
    named = [reference for volume in pod.spec.volumes or () for reference in _of_volume(pod.name, volume)]
    for entry in (*(pod.spec.resourceClaims or ()), *(pod.status.resourceClaimStatuses or ())):
        named.append((RESOURCE_CLAIM, entry.resourceClaimName or ""))
    return frozenset((kind, name) for kind, name in named if name) | environment_references(pod.spec)


def claim_name(pod_name: str, volume: Volume) -> str:
    """Returns the name of the claim behind a volume, which a controller makes for an ephemeral one; "" for none."""
    if volume.persistentVolumeClaim is not None:
        return volume.persistentVolumeClaim.claimName
    return f"{pod_name}-{volume.name}" if volume.ephemeral is not None else ""


def api_reference(pod: Pod) -> str:
    """Returns the first kind of API objects that a pod depends on, in upstream's order; "" for none.

    A static pod has to do without them, and so has its mirror.
    """
    if pod.spec.serviceAccountName:
        return "serviceaccounts"
    kinds = {kind for kind, _ in pod_references(pod)}
    if SECRET in kinds:
        return "secrets"
    if CONFIG_MAP in kinds:
        return "configmaps"
    if pod.spec.resourceClaims:
        return "resourceclaims"
    return next(_volume_references(pod), "")


def _volume_references(pod: Pod) -> Iterator[str]:
    for volume in pod.spec.volumes or ():
        if volume.persistentVolumeClaim is not None or volume.ephemeral is not None:
            yield "persistentvolumeclaims"
        if volume.glusterfs is not None:
            yield "endpoints"
        for source in (volume.projected.sources or ()) if volume.projected is not None else ():
            if source.clusterTrustBundle is not None:
                yield "clustertrustbundles"
            if source.serviceAccountToken is not None:
                yield "serviceaccounts"
            if source.podCertificate is not None:
                yield "podcertificates"


def environment_references(spec: PodSpec) -> frozenset[tuple[EnvironmentKind, str]]:
    """Returns what becomes variables of a pod's containers, and its pull secrets."""
    return frozenset((kind, name) for kind, name in _of_environment(spec) if name)


def _of_environment(spec: PodSpec) -> Iterator[tuple[EnvironmentKind, str]]:
    for pull_secret in spec.imagePullSecrets or ():
        yield SECRET, pull_secret.name
    for container in all_containers(spec):
        for origin in container.envFrom or ():
            if origin.configMapRef is not None:
                yield CONFIG_MAP, origin.configMapRef.name
            if origin.secretRef is not None:
                yield SECRET, origin.secretRef.name
        for source in (variable.valueFrom for variable in container.env or ()):
            if source is not None and source.configMapKeyRef is not None:
                yield CONFIG_MAP, source.configMapKeyRef.name
            if source is not None and source.secretKeyRef is not None:
                yield SECRET, source.secretKeyRef.name


def _of_volume(pod_name: str, volume: Volume) -> Iterator[Reference]:
    if volume.secret is not None:
        yield SECRET, volume.secret.secretName or ""
    if volume.configMap is not None:
        yield CONFIG_MAP, volume.configMap.name
    for projection in (volume.projected.sources or ()) if volume.projected is not None else ():
        if projection.secret is not None:
            yield SECRET, projection.secret.name
        if projection.configMap is not None:
            yield CONFIG_MAP, projection.configMap.name
    if claim := claim_name(pod_name, volume):
        yield CLAIM, claim
    if volume.azureFile is not None:
        yield SECRET, volume.azureFile.secretName
    if volume.csi is not None and volume.csi.nodePublishSecretRef is not None:
        yield SECRET, volume.csi.nodePublishSecretRef.name
    for source in (getattr(volume, name) for name in _SOURCES_WITH_SECRET_REF):
        if source is not None and source.secretRef is not None:
            yield SECRET, source.secretRef.name
