"""The Pod Security Standards as a table: which check belongs to which level, and from which release on.

Source: Kubernetes documentation, "Pod Security Standards", as of v1.35.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from apiserver.admission.podsecurity import _baseline as baseline
from apiserver.admission.podsecurity import _restricted as restricted
from apiserver.admission.podsecurity._policy import BASELINE, LATEST, PRIVILEGED, RESTRICTED, LevelVersion
from apiserver.admission.podsecurity._restricted import unless_own_users, unless_windows
from apiserver.admission.podsecurity._violation import Annotations, CheckFunction, Violation
from kubeapi.core.pod.spec import PodSpec

NEWEST_MINOR = 35
"""The last release that changed a check; later ones, and "latest", check the same."""


@dataclass(frozen=True)
class Check:
    level: str
    by_minor: Mapping[int, CheckFunction]
    """Minor release -> the function that checks from this release on; older releases have no check."""
    overrides: str = ""
    """The check of "baseline" that "restricted" leaves out where it has this one."""

    def function(self, minor: int) -> CheckFunction | None:
        started = [start for start in self.by_minor if start <= minor]
        return self.by_minor[max(started)] if started else None


CHECKS: Mapping[str, Check] = {
    "appArmorProfile": Check(BASELINE, {0: baseline.apparmor_profile}),
    "capabilities_baseline": Check(BASELINE, {0: baseline.capabilities}),
    "hostNamespaces": Check(BASELINE, {0: baseline.host_namespaces}),
    "hostPathVolumes": Check(BASELINE, {0: baseline.host_path_volumes}),
    "hostPorts": Check(BASELINE, {0: baseline.host_ports}),
    "hostProbesAndHostLifecycle": Check(BASELINE, {34: baseline.probe_hosts}),
    "privileged": Check(BASELINE, {0: baseline.privileged}),
    "procMount": Check(BASELINE, {0: baseline.proc_mount, 35: unless_own_users(baseline.proc_mount)}),
    "seLinuxOptions": Check(
        BASELINE,
        {
            0: baseline.selinux_options(baseline.SELINUX_TYPES),
            31: baseline.selinux_options(baseline.SELINUX_TYPES_1_31),
        },
    ),
    "seccompProfile_baseline": Check(BASELINE, {0: baseline.seccomp_annotations, 19: baseline.seccomp_profile}),
    "sysctls": Check(
        BASELINE,
        {
            0: baseline.sysctls(baseline.SYSCTLS),
            27: baseline.sysctls(baseline.SYSCTLS_1_27),
            29: baseline.sysctls(baseline.SYSCTLS_1_29),
            32: baseline.sysctls(baseline.SYSCTLS_1_32),
        },
    ),
    "windowsHostProcess": Check(BASELINE, {0: baseline.windows_host_process}),
    "allowPrivilegeEscalation": Check(
        RESTRICTED, {8: restricted.privilege_escalation, 25: unless_windows(restricted.privilege_escalation)}
    ),
    "capabilities_restricted": Check(
        RESTRICTED,
        {22: restricted.capabilities, 25: unless_windows(restricted.capabilities)},
        overrides="capabilities_baseline",
    ),
    "procMount_restricted": Check(RESTRICTED, {35: baseline.proc_mount}, overrides="procMount"),
    "restrictedVolumes": Check(RESTRICTED, {0: restricted.volumes}, overrides="hostPathVolumes"),
    "runAsNonRoot": Check(
        RESTRICTED, {0: restricted.run_as_non_root, 35: unless_own_users(restricted.run_as_non_root)}
    ),
    "runAsUser": Check(RESTRICTED, {23: restricted.run_as_user, 35: unless_own_users(restricted.run_as_user)}),
    "seccompProfile_restricted": Check(
        RESTRICTED,
        {19: restricted.required_seccomp_profile, 25: unless_windows(restricted.required_seccomp_profile)},
        overrides="seccompProfile_baseline",
    ),
}
"""By upstream's name, in the order in which violations are told."""


def violations(asked: LevelVersion, annotations: Annotations, spec: PodSpec) -> tuple[Violation, ...]:
    """Returns in what a pod breaks a level."""
    if asked.level == PRIVILEGED:
        return ()
    results = (check(annotations, spec) for check in checks_of(asked.level, minor_of(asked.version)))
    return tuple(violation for violation in results if violation is not None)


def reasons(broken: Sequence[Violation]) -> str:
    """Returns the broken rules: "privileged, hostPort"."""
    return ", ".join(violation.reason for violation in broken)


def details(broken: Sequence[Violation]) -> str:
    """Returns the same, with the places where they are broken."""
    return ", ".join(map(str, broken))


def minor_of(version: str) -> int:
    """ "v1.24" -> 24; "latest" and releases to come -> NEWEST_MINOR."""
    return NEWEST_MINOR if version == LATEST else min(int(version.removeprefix("v1.")), NEWEST_MINOR)


@cache  # two levels of a few dozen releases
def checks_of(level: str, minor: int) -> tuple[CheckFunction, ...]:
    """Returns the checks of "baseline" or "restricted", in the order in which violations are told."""
    chosen = {name: function for name, check in CHECKS.items() if (function := check.function(minor)) is not None}
    if level == BASELINE:
        return tuple(function for name, function in chosen.items() if CHECKS[name].level == BASELINE)
    overridden = {CHECKS[name].overrides for name in chosen}
    return tuple(function for name, function in chosen.items() if name not in overridden)
