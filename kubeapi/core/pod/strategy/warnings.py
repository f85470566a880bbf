"""Warnings about a pod's spec: settings that are allowed but seldom meant.

Source: the warnings `kubectl apply` shows.
"""

from __future__ import annotations

from apimachinery.validation import Path, render
from kubeapi.core.pod.spec import Container, PodSpec

_NO_LONGER_SUPPORTED = (
    "cephfs",
    "flocker",
    "glusterfs",
    "photonPersistentDisk",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
)


def spec_warnings(path: Path, spec: PodSpec) -> list[str]:
    warnings: list[str] = []
    if (spec.terminationGracePeriodSeconds or 0) < 0:
        at = render((*path, "terminationGracePeriodSeconds"))
        warnings.append(f"{at}: must be >= 0; negative values are invalid and will be treated as 1")
    for index, volume in enumerate(spec.volumes or ()):
        at = render((*path, "volumes", index))
        if volume.gitRepo is not None:
            warnings.append(f"{at}.gitRepo: deprecated in v1.11, and disabled by default in v1.33+")
        warnings += [
            f"{at}.{name}: no longer supported" for name in _NO_LONGER_SUPPORTED if getattr(volume, name) is not None
        ]
    for index, reference in enumerate(spec.imagePullSecrets or ()):
        if not reference.name:
            at = render((*path, "imagePullSecrets", index))
            warnings.append(f'{at}: invalid empty name ""')
    for field, containers in (("initContainers", spec.initContainers or ()), ("containers", spec.containers)):
        for index, container in enumerate(containers):
            if container.env or container.ports:
                warnings += _container_warnings((*path, field, index), container)
    return warnings


def _container_warnings(path: Path, container: Container) -> list[str]:
    warnings: list[str] = []
    names: set[str] = set()
    for index, variable in enumerate(container.env or ()):
        if variable.name in names:
            at = render((*path, "env", index))
            warnings.append(
                f'{at}: hides previous definition of "{variable.name}", which may be dropped when using apply'
            )
        names.add(variable.name)
    first: dict[tuple[object, ...], int] = {}
    for index, port in enumerate(container.ports or ()):
        key = (port.containerPort, port.protocol, port.hostPort, port.hostIP)
        if key in first:
            at, before = render((*path, "ports", index)), render((*path, "ports", first[key]))
            warnings.append(f"{at}: duplicate port definition with {before}")
        first.setdefault(key, index)
    return warnings
