"""Checks of security contexts.

Source: Kubernetes documentation, "Configure a Security Context for a Pod or Container".
"""

from __future__ import annotations

import re

from kubeapi._podspec import PodSpec
from kubeapi._security import (
    AppArmorProfile,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
    WindowsSecurityContextOptions,
)
from kubeapi._validation import Errors, Path

MAX_ID = 2**31 - 1  # user and group ids
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*\Z")
_SYSCTL_RULE = (
    "must have at most 253 characters and match regex "
    "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
)
_LINUX_ONLY = (
    "seLinuxOptions", "seccompProfile", "appArmorProfile", "runAsUser", "runAsGroup", "fsGroup",
    "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy", "sysctls",
)  # fmt: skip


def check_pod_security(errors: Errors, path: Path, spec: PodSpec) -> None:
    """`spec.securityContext` and the flags of the pod that share the host's namespaces."""
    context = spec.securityContext
    if spec.shareProcessNamespace and spec.hostPID:
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.invalid((*path[:-1], "shareProcessNamespace"), True, text)
    if spec.hostUsers is False:
        for flag in ("hostNetwork", "hostPID", "hostIPC"):
            if getattr(spec, flag):
                errors.forbidden((*path[:-1], flag), "when `hostUsers` is false")
    if context is None or not context.model_fields_set:
        return
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        errors.check_range((*path, name), getattr(context, name), 0, MAX_ID)
    for index, group in enumerate(context.supplementalGroups or ()):
        errors.check_range((*path, "supplementalGroups", index), group, 0, MAX_ID)
    _check_choice(errors, (*path, "fsGroupChangePolicy"), context.fsGroupChangePolicy, ("Always", "OnRootMismatch"))
    _check_choice(errors, (*path, "supplementalGroupsPolicy"), context.supplementalGroupsPolicy, ("Merge", "Strict"))
    _check_choice(errors, (*path, "seLinuxChangePolicy"), context.seLinuxChangePolicy, ("MountOption", "Recursive"))
    _check_sysctls(errors, path, context)
    _check_profiles(errors, path, context.seccompProfile, context.appArmorProfile)
    _check_windows(errors, path, context.windowsOptions)
    if spec.os is not None and spec.os.name == "windows":
        for name in _LINUX_ONLY:
            if getattr(context, name) is not None:
                errors.forbidden((*path, name), "cannot be set for a windows pod")


def check_container_security(errors: Errors, path: Path, context: SecurityContext | None) -> None:
    if context is None:
        return
    for name in ("runAsUser", "runAsGroup"):
        errors.check_range((*path, name), getattr(context, name), 0, MAX_ID)
    if context.procMount is not None and context.procMount not in ("Default", "Unmasked"):
        errors.not_supported((*path, "procMount"), context.procMount, ("Default", "Unmasked"))
    _check_profiles(errors, path, context.seccompProfile, context.appArmorProfile)
    _check_windows(errors, path, context.windowsOptions)
    if context.allowPrivilegeEscalation is False:
        if context.privileged:
            _contradiction(errors, path, context, "`privileged` to true")
        if "CAP_SYS_ADMIN" in ((context.capabilities and context.capabilities.add) or ()):
            _contradiction(errors, path, context, "`capabilities.Add` CAP_SYS_ADMIN")


def _contradiction(errors: Errors, path: Path, context: SecurityContext, what: str) -> None:
    shown = context.model_dump(exclude_none=True)
    errors.invalid(path, shown, f"cannot set `allowPrivilegeEscalation` to false and {what}")


def _check_choice(errors: Errors, path: Path, value: str | None, supported: tuple[str, ...]) -> None:
    if value is not None and value not in supported:
        errors.not_supported(path, value, supported)


def _check_sysctls(errors: Errors, path: Path, context: PodSecurityContext) -> None:
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


def _check_profiles(
    errors: Errors, path: Path, seccomp: SeccompProfile | None, app_armor: AppArmorProfile | None
) -> None:
    if seccomp is not None:
        _check_profile(errors, (*path, "seccompProfile"), seccomp, "seccomp type")
    if app_armor is not None:
        _check_profile(errors, (*path, "appArmorProfile"), app_armor, "AppArmor type")


def _check_profile(errors: Errors, path: Path, profile: SeccompProfile | AppArmorProfile, what: str) -> None:
    errors.check_one_of((*path, "type"), profile.type, _PROFILES)
    at = (*path, "localhostProfile")
    if profile.type == "Localhost":
        if not profile.localhostProfile:
            errors.required(at, f"must be set when {what} is Localhost")
        elif profile.localhostProfile.startswith("/"):
            errors.invalid(at, profile.localhostProfile, "must be a relative path")
        elif ".." in profile.localhostProfile.split("/"):
            errors.invalid(at, profile.localhostProfile, "must not contain '..'")
    elif profile.localhostProfile is not None:
        errors.invalid(at, profile.localhostProfile, f"can only be set when {what} is Localhost")


def _check_windows(errors: Errors, path: Path, options: WindowsSecurityContextOptions | None) -> None:
    if options is not None and options.runAsUserName is not None and not options.runAsUserName:
        errors.invalid((*path, "windowsOptions", "runAsUserName"), "", "runAsUserName cannot be an empty string")
