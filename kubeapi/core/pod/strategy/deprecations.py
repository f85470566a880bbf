"""Warnings about settings of a pod that have a successor: volume types, annotations and labels of nodes.

Source: the warnings `kubectl apply` shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from apimachinery.model import Model
from apimachinery.validation import Path, render
from kubeapi.core.pod.scheduling.affinity import NodeSelectorTerm
from kubeapi.core.pod.spec import PodSpec, all_containers

_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "node-role.kubernetes.io/master": 'deprecated since v1.20; use "node-role.kubernetes.io/control-plane" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_SECCOMP_OF_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_OF_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
APPARMOR_OF_CONTAINER = "container.apparmor.security.beta.kubernetes.io/"
_APPARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'


def deprecations(path: Path, spec: PodSpec, annotations: Mapping[str, str]) -> Iterator[str]:
    """Yields the warnings. `path` is that of the pod or the template, which has `metadata` and `spec`."""
    yield from _labels((*path, "spec"), spec)
    if annotations:
        yield from _annotations((*path, "metadata", "annotations"), spec, annotations)
    for index, volume in enumerate(spec.volumes or ()):
        yield from volume_warnings((*path, "spec", "volumes", index), volume)


def volume_warnings(path: Path, volume: Model) -> Iterator[str]:
    """Yields a warning for a source whose type is of the past."""
    for name in volume.present():
        if why := _VOLUMES.get(name):
            yield f"{render((*path, 'storageOS' if name == 'storageos' else name))}: {why}"


def _labels_of_selector(path: Path, selector: Mapping[str, str] | None) -> Iterator[str]:
    for label in selector or ():
        if label in _NODE_LABELS:
            yield f"{render((*path, f'[{label}]'))}: {_NODE_LABELS[label]}"


def _labels(path: Path, spec: PodSpec) -> Iterator[str]:
    yield from _labels_of_selector((*path, "nodeSelector"), spec.nodeSelector)
    if spec.affinity is not None and (affinity := spec.affinity.nodeAffinity) is not None:
        at = (*path, "affinity", "nodeAffinity")
        required = affinity.requiredDuringSchedulingIgnoredDuringExecution
        for index, term in enumerate(required.nodeSelectorTerms if required is not None else ()):
            name = "requiredDuringSchedulingIgnoredDuringExecution"
            yield from node_label_warnings((*at, name, "nodeSelectorTerms", index), term)
        for index, preferred in enumerate(affinity.preferredDuringSchedulingIgnoredDuringExecution or ()):
            name = "preferredDuringSchedulingIgnoredDuringExecution"
            yield from node_label_warnings((*at, name, index, "preference"), preferred.preference)
    for index, constraint in enumerate(spec.topologySpreadConstraints or ()):
        if why := _NODE_LABELS.get(constraint.topologyKey):
            where = render((*path, "topologySpreadConstraints", index, "topologyKey"))
            yield f"{where}: {constraint.topologyKey} is {why}"


def node_label_warnings(path: Path, term: NodeSelectorTerm) -> Iterator[str]:
    """Yields a warning for each label in a term of a node selector that has got another name."""
    for index, expression in enumerate(term.matchExpressions or ()):
        if why := _NODE_LABELS.get(expression.key):
            yield f"{render((*path, 'matchExpressions', index, 'key'))}: {expression.key} is {why}"


def _annotations(path: Path, spec: PodSpec, annotations: Mapping[str, str]) -> Iterator[str]:
    """Warns of what a field says now; an annotation beside its field is left alone."""
    for key, why in _ANNOTATIONS.items():
        if key in annotations:
            yield f"{render((*path, f'[{key}]'))}: {why}"
    of_pod = spec.securityContext
    if _SECCOMP_OF_POD in annotations and (of_pod is None or of_pod.seccompProfile is None):
        yield f"{render((*path, f'[{_SECCOMP_OF_POD}]'))}: {_SECCOMP}"
    confined = of_pod is not None and of_pod.appArmorProfile is not None
    for container in all_containers(spec):
        security = container.securityContext
        seccomp, apparmor = _SECCOMP_OF_CONTAINER + container.name, APPARMOR_OF_CONTAINER + container.name
        if seccomp in annotations and (security is None or security.seccompProfile is None):
            yield f"{render((*path, f'[{seccomp}]'))}: {_SECCOMP}"
        if apparmor in annotations and not (confined or (security is not None and security.appArmorProfile)):
            yield f"{render((*path, f'[{apparmor}]'))}: {_APPARMOR}"
