"""Turns the text of a manifest file into a static pod: one that this node runs without the API knowing of it first.

Pure. Source: Kubernetes documentation, "Create static Pods"; what upstream's kubelet sets and refuses.
"""

from __future__ import annotations

import hashlib
import json

from apimachinery.errors import StatusError
from apimachinery.model import from_dict
from apimachinery.names import path_segment_errors
from apimachinery.text.yaml import YamlError, read_document
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import api_reference
from kubeapi.core.pod.resource import RESOURCE
from kubeapi.core.pod.scheduling.affinity import Toleration
from kubeapi.core.pod.status import PodStatus
from kubeapi.core.pod.strategy.qos import qos_class
from kubelet.container.limits import SOURCE_ANNOTATION

HASH_ANNOTATION = "kubernetes.io/config.hash"
SEEN_ANNOTATION = "kubernetes.io/config.seen"


class ManifestError(Exception):
    """The file does not describe a pod that can run here; the text says why."""


def static_pod(text: bytes, path: str, node_name: str, seen: str) -> Pod:
    """Makes the pod of a file, with all defaults; its uid changes with the file's content and place.

    `seen` is the time when the file was read. Raises: ManifestError.
    """
    try:
        document = read_document(text).value
        if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != ("v1", "Pod"):
            raise ManifestError("invalid pod: want one object of kind Pod and apiVersion v1")
        pod = from_dict(Pod, document)
    except YamlError as error:
        raise ManifestError(f"error parsing: {error}") from None
    except StatusError as error:
        raise ManifestError(f"invalid pod: {error}") from None
    meta = pod.metadata
    if not meta.name:
        raise ManifestError("invalid pod: name is needed for the pod")
    meta.uid = meta.uid or _digest(document, path, node_name)
    meta.name = f"{meta.name}-{node_name}"
    meta.namespace = meta.namespace or "default"
    meta.annotations = {
        **(meta.annotations or {}),
        HASH_ANNOTATION: meta.uid,
        SEEN_ANNOTATION: seen,
        SOURCE_ANNOTATION: "file",
    }
    pod.spec.nodeName = node_name
    pod.spec.tolerations = [*(pod.spec.tolerations or ()), Toleration(operator="Exists", effect="NoExecute")]
    strategy = RESOURCE.strategy
    strategy.default(pod)
    pod.status = PodStatus(phase="Pending", qosClass=qos_class(pod.spec))
    errors = [f"metadata.name: {text}" for text in strategy.validate_name(meta.name)]
    errors += [f"metadata.{name}: {text}" for name in ("namespace", "uid") for text in _segment_errors(pod, name)]
    errors += map(str, strategy.validate(pod))
    if errors:
        raise ManifestError(f"invalid pod: {'; '.join(errors)}")
    if kind := api_reference(pod):
        raise ManifestError(f"static pods may not reference {kind}")
    return pod


def _digest(document: object, path: str, node_name: str) -> str:
    text = json.dumps([document, node_name, path], sort_keys=True, default=str)
    return hashlib.blake2s(text.encode(), digest_size=16).hexdigest()


def _segment_errors(pod: Pod, name: str) -> list[str]:
    """Checks what names folders and containers of the pod."""
    return path_segment_errors(getattr(pod.metadata, name))
