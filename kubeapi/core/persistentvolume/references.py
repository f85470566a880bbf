"""The Secrets that a volume names, of those that the kubelet reads: not those for attaching and growing it.

Source: Kubernetes API reference, "PersistentVolume".
"""

from __future__ import annotations

from kubeapi.core.persistentvolume.model import PersistentVolume

_SOURCES_WITH_SECRET_REF = ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")
_CSI_SECRETS_OF_NODES = ("nodeExpandSecretRef", "nodePublishSecretRef", "nodeStageSecretRef")


def volume_secrets(volume: PersistentVolume) -> frozenset[tuple[str, str]]:
    """Returns namespace and name of each; the namespace is the claim's where the volume names none."""
    spec = volume.spec
    own = (spec.claimRef.namespace if spec.claimRef is not None else "") or ""
    sources = [getattr(spec, name) for name in _SOURCES_WITH_SECRET_REF]
    references = [source.secretRef for source in sources if source is not None]
    if spec.csi is not None:
        references += [getattr(spec.csi, field) for field in _CSI_SECRETS_OF_NODES]
    secrets = {(each.namespace or own, each.name) for each in references if each is not None and each.name}
    if spec.azureFile is not None:
        secrets.add((spec.azureFile.secretNamespace or own, spec.azureFile.secretName))
    return frozenset(secrets)
