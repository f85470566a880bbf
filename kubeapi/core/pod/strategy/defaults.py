"""Defaults of a pod's spec that depend on other fields, or that concern pods alone and not templates.

Source: Kubernetes API reference, "Pod"; Kubernetes documentation, "Images: Default image pull policy".
"""

from __future__ import annotations

from functools import lru_cache

from apimachinery.quantity import ResourceList
from apimachinery.text.image_reference import DEFAULT_TAG, parse_reference
from kubeapi.core.pod.env import EnvVar
from kubeapi.core.pod.probes import Probe
from kubeapi.core.pod.requests import containers_request
from kubeapi.core.pod.security import PodSecurityContext
from kubeapi.core.pod.spec import Container, PodSpec, ResourceRequirements
from kubeapi.core.pod.volumes import EmptyDirVolumeSource, Volume


def default_pod_spec(spec: PodSpec) -> None:
    """Sets the defaults that pods and templates share. Constants of one field are the models' own defaults."""
    if spec.terminationGracePeriodSeconds is None:
        spec.terminationGracePeriodSeconds = 30
    if spec.securityContext is None:
        spec.securityContext = PodSecurityContext()
    if spec.serviceAccountName != spec.serviceAccount:  # two names of one field: the newer one wins
        spec.serviceAccountName = spec.serviceAccount = spec.serviceAccountName or spec.serviceAccount
    for container in spec.containers:
        _default_container(container)
    for container in spec.initContainers or ():
        _default_container(container)
    for container in spec.ephemeralContainers or ():
        _default_container(container)
    for volume in spec.volumes or ():
        _default_volume(volume)


def default_pod(spec: PodSpec) -> None:
    """Sets the defaults of a pod: those of templates, requests, and the host ports of pods on the host's network."""
    default_pod_spec(spec)
    if spec.enableServiceLinks is None:
        spec.enableServiceLinks = True
    host_network = spec.hostNetwork
    for container in (*spec.containers, *(spec.initContainers or ())):
        _default_requests(container.resources)
        if host_network:
            for port in container.ports or ():
                port.hostPort = port.hostPort or port.containerPort
    if spec.resources is not None:
        _default_pod_requests(spec)


@lru_cache(maxsize=1024)
def pull_policy(image: str | None) -> str:
    """Returns "Always" for the tag `latest`, given or implied, and "IfNotPresent" for other tags, for digests, and for
    text that is not an image name."""
    try:
        tag = parse_reference(image or "").tag
    except ValueError:
        tag = ""
    return "Always" if tag == DEFAULT_TAG else "IfNotPresent"


def _default_container(container: Container) -> None:
    if not container.imagePullPolicy:
        container.imagePullPolicy = pull_policy(container.image)
    if container.env:
        for variable in container.env:
            _default_env(variable)
    for probe in (container.livenessProbe, container.readinessProbe, container.startupProbe):
        if probe is not None:
            _default_probe(probe)


def _default_env(variable: EnvVar) -> None:
    source = variable.valueFrom
    if source is None:
        return
    if source.fileKeyRef is not None and source.fileKeyRef.optional is None:
        source.fileKeyRef.optional = False


def _default_probe(probe: Probe) -> None:
    if probe.grpc is not None and probe.grpc.service is None:
        probe.grpc.service = ""


def _default_volume(volume: Volume) -> None:
    """Makes a volume without a source an emptyDir."""
    if volume.image is not None and not volume.image.pullPolicy:
        volume.image.pullPolicy = pull_policy(volume.image.reference)
    if volume.present() in ([], ["name"]):
        volume.emptyDir = EmptyDirVolumeSource()


def _default_requests(resources: ResourceRequirements) -> None:
    """Requests as much as the limit where only a limit is given."""
    if resources.limits:
        requests = resources.requests or {}
        if not resources.limits.keys() <= requests.keys():
            resources.requests = {**resources.limits, **requests}


def _default_pod_requests(spec: PodSpec) -> None:
    """Requests for the pod, where only a limit is given, the sum of its containers' requests, or else the limit."""
    resources = spec.resources
    if resources is None or not resources.limits:
        return
    requests: ResourceList = dict(resources.requests or {})
    for name, limit in resources.limits.items():
        if name not in requests:
            requests[name] = containers_request(spec, name) or limit
    resources.requests = requests
