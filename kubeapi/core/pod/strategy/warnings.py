"""Warnings about a pod's spec: settings that are allowed but seldom meant.

Source: the warnings `kubectl apply` shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apimachinery.quantity import parse_quantity
from apimachinery.validation import Path, render
from kubeapi.core.persistentvolumeclaim.resource import claim_spec_warnings
from kubeapi.core.pod.spec import Container, PodSpec, ResourceRequirements
from kubeapi.core.pod.strategy.deprecations import deprecations
from kubeapi.core.pod.volumes import DownwardAPIVolumeFile, KeyToPath, Volume


def pod_warnings(path: Path, spec: PodSpec, annotations: Mapping[str, str]) -> list[str]:
    """Returns all warnings. `path` is that of the pod or template, which has the annotations and the spec."""
    warnings = list(deprecations(path, spec, annotations))
    path = (*path, "spec")
    if (spec.terminationGracePeriodSeconds or 0) < 0:
        at = render((*path, "terminationGracePeriodSeconds"))
        warnings.append(f"{at}: must be >= 0; negative values are invalid and will be treated as 1")
    for index, volume in enumerate(spec.volumes or ()):
        warnings += _overlapping_files(volume)
        if volume.ephemeral is not None and (template := volume.ephemeral.volumeClaimTemplate) is not None:
            of_template = (*path, "volumes", index, "ephemeral", "volumeClaimTemplate", "spec")
            warnings += claim_spec_warnings(of_template, template.spec)
    for index, reference in enumerate(spec.imagePullSecrets or ()):
        if not reference.name:
            at = render((*path, "imagePullSecrets", index, "name"))
            warnings.append(f'{at}: invalid empty name ""')
    for field, containers in (("initContainers", spec.initContainers or ()), ("containers", spec.containers)):
        for index, container in enumerate(containers):
            resources = container.resources
            if resources.limits or resources.requests:
                warnings += _fractions_of_bytes((*path, field, index, "resources"), resources)
            if container.env or container.ports:
                warnings += _container_warnings((*path, field, index), container)
    return warnings


def _overlapping_files(volume: Volume) -> list[str]:
    """Warns of files of a volume that hide each other."""
    items: Sequence[KeyToPath | DownwardAPIVolumeFile] | None = None
    if volume.configMap is not None:
        items, source = volume.configMap.items, f'ConfigMap "{volume.configMap.name or ""}"'
    elif volume.secret is not None:
        items, source = volume.secret.items, f'Secret "{volume.secret.secretName or ""}"'
    elif volume.downwardAPI is not None:
        items, source = volume.downwardAPI.items, "DownwardAPI"
    if not items:
        return []
    files = [item.path.rstrip("/") for item in items]
    overlaps = [
        f'"{file}" with "{other}"'
        for index, file in enumerate(files)
        for other in files[:index]
        if f"{file}/".startswith(f"{other}/") or other.startswith(f"{file}/")
    ]
    return [f'volume "{volume.name}" ({source}): overlapping paths: {", ".join(overlaps)}'] if overlaps else []


def _fractions_of_bytes(path: Path, resources: ResourceRequirements) -> list[str]:
    """Warns of "100m" where it is a tenth of a byte: "100M" was meant."""
    warnings: list[str] = []
    for name in ("memory", "ephemeral-storage"):
        for field, quantities in (("limits", resources.limits), ("requests", resources.requests)):
            value = (quantities or {}).get(name)
            if value is not None and parse_quantity(value).denominator != 1:
                at = render((*path, field, f"[{name}]"))
                warnings.append(f'{at}: fractional byte value "{value}" is invalid, must be an integer')
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
