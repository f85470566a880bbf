"""Checks of security contexts.

Source: Kubernetes documentation, "Configure a Security Context for a Pod or Container".
"""

from __future__ import annotations

import re

from apimachinery.validation import Errors, Path, check_relative_path
from kubeapi.core.pod.security import (
    AppArmorProfile,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
    WindowsSecurityContextOptions,
)
from kubeapi.core.pod.spec import PodSpec

MAX_ID = 2**31 - 1  # user and group ids
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*\Z")
_IPC_SYSCTLS = ("kernel.sem", "kernel.shm", "kernel.msg", "fs.mqueue.")
_SYSCTL_RULE = (
    "must have at most 253 characters and match regex "
    "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
)
_LINUX_ONLY_OF_CONTAINERS = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip
_LINUX_ONLY = (
    "seLinuxOptions", "seccompProfile", "appArmorProfile", "runAsUser", "runAsGroup", "fsGroup",
    "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy", "sysctls",
)  # fmt: skip


def check_pod_security(errors: Errors, path: Path, spec: PodSpec) -> None:
    """Checks `spec.securityContext` and the fields that share the host's namespaces."""
    context = spec.securityContext
    if spec.shareProcessNamespace and spec.hostPID:
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.invalid((*path, "shareProcessNamespace"), True, text)
    if spec.hostUsers is False:
        for flag in ("hostNetwork", "hostPID", "hostIPC"):
            if getattr(spec, flag):
                errors.forbidden((*path[:-1], flag), "when `pod.Spec.HostUsers` is false")
    if context is None or not context.model_fields_set:
        return
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        errors.check_range((*path, name), getattr(context, name), 0, MAX_ID)
    for index, group in enumerate(context.supplementalGroups or ()):
        errors.check_range((*path, "supplementalGroups", index), group, 0, MAX_ID)
    _check_choice(errors, (*path, "fsGroupChangePolicy"), context.fsGroupChangePolicy, ("Always", "OnRootMismatch"))
    _check_choice(errors, (*path, "supplementalGroupsPolicy"), context.supplementalGroupsPolicy, ("Merge", "Strict"))
    _check_choice(errors, (*path, "seLinuxChangePolicy"), context.seLinuxChangePolicy, ("MountOption", "Recursive"))
    _check_sysctls(errors, path, context, spec)
    _check_profiles(errors, path, context.seccompProfile, context.appArmorProfile)
    _check_windows(errors, path, context.windowsOptions)
    if spec.os is not None:
        _check_system(errors, path, context, spec.os.name, _LINUX_ONLY)


def check_container_security(errors: Errors, path: Path, context: SecurityContext, spec: PodSpec) -> None:
    for name in ("runAsUser", "runAsGroup"):
        errors.check_range((*path, name), getattr(context, name), 0, MAX_ID)
    if context.procMount is not None and context.procMount not in ("Default", "Unmasked"):
        errors.not_supported((*path, "procMount"), context.procMount, ("Default", "Unmasked"))
    elif context.procMount == "Unmasked" and spec.hostUsers is not False:
        errors.invalid((*path, "procMount"), context.procMount, "`hostUsers` must be false to use `Unmasked`")
    _check_profiles(errors, path, context.seccompProfile, context.appArmorProfile)
    _check_windows(errors, path, context.windowsOptions)
    if spec.os is not None:
        _check_system(errors, path, context, spec.os.name, _LINUX_ONLY_OF_CONTAINERS)
    if context.allowPrivilegeEscalation is False:
        if context.privileged:
            _contradiction(errors, path, context, "`privileged` to true")
        if "CAP_SYS_ADMIN" in ((context.capabilities and context.capabilities.add) or ()):
            _contradiction(errors, path, context, "`capabilities.Add` CAP_SYS_ADMIN")


def _check_system(
    errors: Errors, path: Path, context: SecurityContext | PodSecurityContext, system: str, linux_only: tuple[str, ...]
) -> None:
    """Refuses fields that only the other operating system supports."""
    if system == "linux" and context.windowsOptions is not None:
        errors.forbidden((*path, "windowsOptions"), "windows options cannot be set for a linux pod")
    for name in linux_only if system == "windows" else ():
        if getattr(context, name) is not None:
            errors.forbidden((*path, name), "cannot be set for a windows pod")


def _contradiction(errors: Errors, path: Path, context: SecurityContext, what: str) -> None:
    fields = context.model_dump(exclude_none=True)
    errors.invalid(path, fields, f"cannot set `allowPrivilegeEscalation` to false and {what}")


def _check_choice(errors: Errors, path: Path, value: str | None, supported: tuple[str, ...]) -> None:
    if value is not None and value not in supported:
        errors.not_supported(path, value, supported)


def _check_sysctls(errors: Errors, path: Path, context: PodSecurityContext, spec: PodSpec) -> None:
    seen: set[str] = set()
    for index, sysctl in enumerate(context.sysctls or ()):
        at = (*path, "sysctls", index, "name")
        if not sysctl.name:
            errors.required(at)
        elif len(sysctl.name) > 253 or not _SYSCTL.match(sysctl.name):
            errors.invalid(at, sysctl.name, _SYSCTL_RULE)
        elif sysctl.name in seen:
            errors.duplicate(at, sysctl.name)
        seen.add(sysctl.name)
        name = sysctl.name.replace("/", ".")
        if spec.hostNetwork and name.startswith("net."):
            errors.invalid(at, sysctl.name, "may not be specified when 'hostNetwork' is true")
        elif spec.hostIPC and name.startswith(_IPC_SYSCTLS):
            errors.invalid(at, sysctl.name, "may not be specified when 'hostIPC' is true")


def _check_profiles(
    errors: Errors, path: Path, seccomp: SeccompProfile | None, app_armor: AppArmorProfile | None
) -> None:
    if seccomp is not None:
        at = (*path, "seccompProfile")
        _check_profile(errors, at, seccomp, "seccomp type")
        if seccomp.type == "Localhost" and seccomp.localhostProfile:
            check_relative_path(errors, (*at, "localhostProfile"), seccomp.localhostProfile)
    if app_armor is not None:
        at = (*path, "appArmorProfile")
        _check_profile(errors, at, app_armor, "AppArmor type")
        name = app_armor.localhostProfile or ""
        if app_armor.type == "Localhost" and name != name.strip():
            errors.invalid((*at, "localhostProfile"), name, "must not be padded with whitespace")


def _check_profile(errors: Errors, path: Path, profile: SeccompProfile | AppArmorProfile, what: str) -> None:
    at = (*path, "localhostProfile")
    if not profile.type:
        errors.required((*path, "type"), f"type is required when {path[-1]} is set")
    elif profile.type not in _PROFILES:
        errors.not_supported((*path, "type"), profile.type, _PROFILES)
    if profile.type == "Localhost":
        if not profile.localhostProfile:
            errors.required(at, f"must be set when {what} is Localhost")
    elif profile.localhostProfile is not None:
        errors.invalid(at, profile.localhostProfile, f"can only be set when {what} is Localhost")


def _check_windows(errors: Errors, path: Path, options: WindowsSecurityContextOptions | None) -> None:
    if options is not None and options.runAsUserName is not None and not options.runAsUserName:
        errors.invalid((*path, "windowsOptions", "runAsUserName"), "", "runAsUserName cannot be an empty string")
