"""Checks of a pod's containers.

Source: Kubernetes API reference, "Container"; Kubernetes documentation, "Init Containers", "Sidecar Containers",
"Ephemeral Containers".
"""

from __future__ import annotations

from collections.abc import Mapping

from apimachinery.model import to_dict
from apimachinery.validation import PROTOCOLS, Errors, Path, check_relative_path, port_name_errors
from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.spec import Container, ContainerPort, EphemeralContainer, PodSpec, ResourceRequirements
from kubeapi.core.pod.validation.env import check_env, check_env_from
from kubeapi.core.pod.validation.probe import check_lifecycle, check_probes
from kubeapi.core.pod.validation.resources import check_resize_policy, check_resources
from kubeapi.core.pod.validation.security import check_container_security
from kubeapi.core.pod.volumes import Volume, VolumeDevice, VolumeMount

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_MAX_RESTART_RULES = 20
_MAX_EXIT_CODES = 255
_NOT_FOR_EPHEMERAL = (
    "ports", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe", "startupProbe",
    "lifecycle",
)  # fmt: skip
_INIT_ONLY_SIDECARS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


class ContainerChecks:
    """Checks all containers of one pod; names are unique over all of its lists."""

    def __init__(
        self, errors: Errors, path: Path, spec: PodSpec, volumes: Mapping[str, Volume], claims: frozenset[str]
    ) -> None:
        self.errors = errors
        self.path = path
        self.spec = spec
        self.volumes = volumes
        self.claims = claims
        self.names: set[str] = set()

    def check_all(self) -> None:
        spec, errors = self.spec, self.errors
        if not spec.containers:
            errors.required((*self.path, "containers"))
        for index, container in enumerate(spec.containers):
            at = (*self.path, "containers", index)
            self._check(at, container)
            check_lifecycle(errors, at, container, spec.terminationGracePeriodSeconds)
            check_probes(errors, at, container)
        for index, container in enumerate(spec.initContainers or ()):
            self._check_init((*self.path, "initContainers", index), container)
        for index, ephemeral in enumerate(spec.ephemeralContainers or ()):
            self._check_ephemeral((*self.path, "ephemeralContainers", index), ephemeral)
        host_ports: set[str] = set()
        for index, container in enumerate(spec.containers):
            if container.ports:
                self._check_host_ports((*self.path, "containers", index, "ports"), container.ports, host_ports)

    def _check_init(self, path: Path, container: Container) -> None:
        self._check(path, container)
        if container.ports:
            self._check_host_ports((*path, "ports"), container.ports, set())
        if is_sidecar(container):
            check_lifecycle(self.errors, path, container, self.spec.terminationGracePeriodSeconds)
            check_probes(self.errors, path, container)
            return
        for name in _INIT_ONLY_SIDECARS:
            if getattr(container, name) is not None:
                self.errors.forbidden((*path, name), "may not be set for init containers without restartPolicy=Always")
        if container.resizePolicy:
            policies = [to_dict(policy) for policy in container.resizePolicy]
            self.errors.invalid((*path, "resizePolicy"), policies, "must not be set for init containers")

    def _check_ephemeral(self, path: Path, container: EphemeralContainer) -> None:
        self._check(path, container)
        target = container.targetContainerName
        if target and target not in {item.name for item in (*self.spec.containers, *(self.spec.initContainers or ()))}:
            self.errors.not_found((*path, "targetContainerName"), target)
        for name in _NOT_FOR_EPHEMERAL:
            if getattr(container, name) is not None:
                self.errors.forbidden((*path, name), "cannot be set for an Ephemeral Container")
        if container.resources != ResourceRequirements():
            self.errors.forbidden((*path, "resources"), "cannot be set for an Ephemeral Container")
        for index, mount in enumerate(container.volumeMounts or ()):
            for name in ("subPath", "subPathExpr"):
                if getattr(mount, name):
                    at = (*path, "volumeMounts", index, name)
                    self.errors.forbidden(at, "cannot be set for an Ephemeral Container")

    def _check(self, path: Path, container: Container) -> None:
        errors = self.errors
        self._check_identity(path, container)
        if container.terminationMessagePolicy not in _MESSAGE_POLICIES:
            at = (*path, "terminationMessagePolicy")
            errors.check_one_of(at, container.terminationMessagePolicy, _MESSAGE_POLICIES)
        if container.ports:
            self._check_ports((*path, "ports"), container.ports)
        if container.env:
            check_env(errors, (*path, "env"), container.env)
        if container.envFrom:
            check_env_from(errors, (*path, "envFrom"), container.envFrom)
        if container.volumeMounts:
            self._check_mounts((*path, "volumeMounts"), container)
        if container.volumeDevices:
            self._check_devices((*path, "volumeDevices"), container.volumeDevices)
        if container.imagePullPolicy not in PULL_POLICIES:
            errors.check_one_of((*path, "imagePullPolicy"), container.imagePullPolicy, PULL_POLICIES)
        check_resources(errors, (*path, "resources"), container.resources, self.claims)
        if container.resizePolicy:
            check_resize_policy(errors, (*path, "resizePolicy"), container.resizePolicy, self.spec.restartPolicy)
        if container.securityContext is not None:
            check_container_security(errors, (*path, "securityContext"), container.securityContext, self.spec)
        if container.restartPolicy is not None or container.restartPolicyRules:
            self._check_restart(path, container)

    def _check_identity(self, path: Path, container: Container) -> None:
        errors, name = self.errors, container.name
        if not name:
            errors.required((*path, "name"))
        else:
            errors.check_dns_label((*path, "name"), name)
            if name in self.names:
                errors.duplicate((*path, "name"), name)
            self.names.add(name)
        if not container.image:
            errors.required((*path, "image"))

    def _check_ports(self, path: Path, ports: list[ContainerPort]) -> None:
        errors = self.errors
        names: set[str] = set()
        for index, port in enumerate(ports):
            at = (*path, index)
            if port.name:
                messages = port_name_errors(port.name)
                errors.check_messages((*at, "name"), port.name, messages)
                if not messages and port.name in names:
                    errors.duplicate((*at, "name"), port.name)
                names.add(port.name)
            if not port.containerPort:
                errors.required((*at, "containerPort"))
            else:
                errors.check_port((*at, "containerPort"), port.containerPort)
            if port.hostPort:
                errors.check_port((*at, "hostPort"), port.hostPort)
                if self.spec.hostNetwork and port.hostPort != port.containerPort:
                    text = "must match `containerPort` when `hostNetwork` is true"
                    errors.invalid((*at, "hostPort"), port.hostPort, text)
            if port.protocol not in PROTOCOLS:
                errors.check_one_of((*at, "protocol"), port.protocol, PROTOCOLS)

    def _check_host_ports(self, path: Path, ports: list[ContainerPort], taken: set[str]) -> None:
        """Refuses a host port that two containers use at one time; init containers run one by one."""
        for index, port in enumerate(ports):
            if port.hostPort:
                text = f"{port.protocol}/{port.hostIP or ''}/{port.hostPort}"
                if text in taken:
                    self.errors.duplicate((*path, index, "hostPort"), text)
                taken.add(text)

    def _check_devices(self, path: Path, devices: list[VolumeDevice]) -> None:
        errors = self.errors
        names: set[str] = set()
        paths: set[str] = set()
        for index, device in enumerate(devices):
            at = (*path, index)
            volume = self.volumes.get(device.name)
            if not device.name:
                errors.required((*at, "name"))
            elif volume is None:
                errors.not_found((*at, "name"), device.name)
            elif volume.persistentVolumeClaim is None and volume.ephemeral is None:
                text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
                errors.invalid((*at, "name"), device.name, text)
            if device.name in names:
                errors.invalid((*at, "name"), device.name, "must be unique")
            if not device.devicePath:
                errors.required((*at, "devicePath"))
            elif device.devicePath in paths:
                errors.invalid((*at, "devicePath"), device.devicePath, "must be unique")
            elif ".." in device.devicePath.split("/"):
                errors.invalid((*at, "devicePath"), device.devicePath, "can not contain backsteps ('..')")
            names.add(device.name)
            paths.add(device.devicePath)

    def _check_mounts(self, path: Path, container: Container) -> None:
        errors = self.errors
        device_names = {device.name for device in container.volumeDevices or ()}
        device_paths = {device.devicePath for device in container.volumeDevices or ()}
        paths: set[str] = set()
        for index, mount in enumerate(container.volumeMounts or ()):
            at = (*path, index)
            if not mount.name:
                errors.required((*at, "name"))
            elif mount.name not in self.volumes:
                errors.not_found((*at, "name"), mount.name)
            elif mount.name in device_names:
                errors.invalid((*at, "name"), mount.name, "must not already exist in volumeDevices")
            if not mount.mountPath:
                errors.required((*at, "mountPath"))
            elif mount.mountPath in paths:
                errors.invalid((*at, "mountPath"), mount.mountPath, "must be unique")
            elif mount.mountPath in device_paths:
                errors.invalid((*at, "mountPath"), mount.mountPath, "must not already exist as a path in volumeDevices")
            paths.add(mount.mountPath)
            self._check_mount_options(path, index, mount, container)

    def _check_mount_options(self, path: Path, index: int, mount: VolumeMount, container: Container) -> None:
        """Most errors name the list without the mount's index, as upstream."""
        errors = self.errors
        if mount.subPath:
            check_relative_path(errors, (*path, "subPath"), mount.subPath)
        if mount.subPathExpr:
            if mount.subPath:
                text = "subPathExpr and subPath are mutually exclusive"
                errors.invalid((*path, index, "subPathExpr"), mount.subPathExpr, text)
            check_relative_path(errors, (*path, "subPathExpr"), mount.subPathExpr)
        propagation = mount.mountPropagation
        if propagation is not None:
            if propagation not in _PROPAGATIONS:
                errors.not_supported((*path, "mountPropagation"), propagation, _PROPAGATIONS)
            elif propagation == "Bidirectional" and not (
                container.securityContext and container.securityContext.privileged
            ):
                text = "Bidirectional mount propagation is available only to privileged containers"
                errors.forbidden((*path, "mountPropagation"), text)
        recursive = mount.recursiveReadOnly
        if recursive is not None:
            if recursive not in ("Disabled", "Enabled", "IfPossible"):
                errors.not_supported((*path, "recursiveReadOnly"), recursive, ("Disabled", "Enabled", "IfPossible"))
            elif recursive != "Disabled" and not mount.readOnly:
                text = "may only be specified when readOnly is true"
                errors.forbidden((*path, "recursiveReadOnly"), text)
            if recursive in ("Enabled", "IfPossible") and propagation not in (None, "None"):
                text = "may only be specified when mountPropagation is None or not specified"
                errors.forbidden((*path, "recursiveReadOnly"), text)

    def _check_restart(self, path: Path, container: Container) -> None:
        errors, rules = self.errors, container.restartPolicyRules or []
        if container.restartPolicy is None:
            text = "must specify restartPolicy when restart rules are used"
            errors.required((*path, "restartPolicy"), text)
        elif container.restartPolicy not in _RESTART_POLICIES:
            errors.not_supported((*path, "restartPolicy"), container.restartPolicy, _RESTART_POLICIES)
        if len(rules) > _MAX_RESTART_RULES:
            errors.too_many((*path, "restartPolicyRules"), len(rules), _MAX_RESTART_RULES)
        for index, rule in enumerate(rules):
            at = (*path, "restartPolicyRules", index)
            errors.check_one_of((*at, "action"), rule.action, ("Restart",))
            codes = rule.exitCodes
            if codes is None:
                errors.required((*at, "exitCodes"), "must be specified")
                continue
            errors.check_one_of((*at, "exitCodes", "operator"), codes.operator, ("In", "NotIn"))
            if len(codes.values or ()) > _MAX_EXIT_CODES:
                errors.too_many((*at, "exitCodes", "values"), len(codes.values or ()), _MAX_EXIT_CODES)
