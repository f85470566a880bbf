"""The checks of the level "baseline": known ways from a container to its host are closed.

Each gets the pod's annotations and spec, and returns the violation or None.

Source: Kubernetes documentation, "Pod Security Standards".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from apimachinery.errors import quote
from apiserver.admission.podsecurity._violation import (
    Annotations,
    CheckFunction,
    Violation,
    containers_text,
    plural,
    quoted,
    setters_text,
)
from kubeapi.core.pod.probes import LifecycleHandler, Probe
from kubeapi.core.pod.security import PodSecurityContext, SecurityContext, SELinuxOptions
from kubeapi.core.pod.spec import Container, PodSpec, all_containers
from kubeapi.core.pod.strategy.deprecations import APPARMOR_OF_CONTAINER

CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
CONFINED = ("RuntimeDefault", "Localhost")
"""The types of seccomp and AppArmor profiles that confine."""
SECCOMP_POD_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_ANNOTATION = "container.seccomp.security.alpha.kubernetes.io/"

SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t"))
SELINUX_TYPES_1_31 = SELINUX_TYPES | {"container_engine_t"}

SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_syncookies",
    )
)
SYSCTLS_1_27 = SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
SYSCTLS_1_29 = SYSCTLS_1_27 | {
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
}
SYSCTLS_1_32 = SYSCTLS_1_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def apparmor_profile(annotations: Annotations, spec: PodSpec) -> Violation | None:
    by_pod, names, types = _unconfined(spec, "appArmorProfile")
    setters = [text] if (text := setters_text(by_pod, names)) else []
    annotated = sorted(
        f"{key}={quote(value)}"
        for key, value in annotations.items()
        if key.startswith(APPARMOR_OF_CONTAINER)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    if annotated:
        setters.append(plural(len(annotated), "annotation", "annotations"))
    if not setters:
        return None
    shown = [*types, *annotated]
    reason = plural(len(shown), "forbidden AppArmor profile", "forbidden AppArmor profiles")
    return Violation(reason, f"{' and '.join(setters)} must not set AppArmor profile type to {quoted(shown)}")


def _unconfined(spec: PodSpec, field: str) -> tuple[bool, list[str], list[str]]:
    """Returns whether the pod sets a profile that doesn't confine, the containers that do, and its types, sorted.

    `field` is "appArmorProfile" or "seccompProfile".
    """

    def types_of(context: PodSecurityContext | SecurityContext | None) -> set[str]:
        profile = getattr(context, field, None)
        return set() if profile is None or profile.type in CONFINED else {profile.type}

    types = types_of(spec.securityContext)
    by_pod, names = bool(types), []
    for container in all_containers(spec):
        if own := types_of(container.securityContext):
            names.append(container.name)
            types |= own
    return by_pod, names, sorted(types)


def added_capabilities(container: Container) -> list[str]:
    capabilities = container.securityContext.capabilities if container.securityContext else None
    return (capabilities.add if capabilities else None) or []


def capabilities(annotations: Annotations, spec: PodSpec) -> Violation | None:
    names, added = [], set()
    for container in all_containers(spec):
        beyond = set(added_capabilities(container)) - CAPABILITIES
        if beyond:
            names.append(container.name)
            added |= beyond
    if not names:
        return None
    detail = f"{containers_text(names)} must not include {quoted(sorted(added))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail)


def host_namespaces(annotations: Annotations, spec: PodSpec) -> Violation | None:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if getattr(spec, name)]
    return Violation("host namespaces", ", ".join(used)) if used else None


def host_path_volumes(annotations: Annotations, spec: PodSpec) -> Violation | None:
    names = [volume.name for volume in spec.volumes or () if volume.hostPath is not None]
    return (
        Violation("hostPath volumes", f"{plural(len(names), 'volume', 'volumes')} {quoted(names)}") if names else None
    )


def host_ports(annotations: Annotations, spec: PodSpec) -> Violation | None:
    names, ports = [], set()
    for container in all_containers(spec):
        own = {str(port.hostPort) for port in container.ports or () if port.hostPort}
        if own:
            names.append(container.name)
            ports |= own
    if not names:
        return None
    verb, noun = plural(len(names), "uses", "use"), plural(len(ports), "hostPort", "hostPorts")
    return Violation("hostPort", f"{containers_text(names)} {verb} {noun} {', '.join(sorted(ports))}")


def probe_hosts(annotations: Annotations, spec: PodSpec) -> Violation | None:
    names, hosts = set(), set()
    for container in all_containers(spec):
        own = set(filter(None, _network_hosts(container)))
        if own:
            names.add(container.name)
            hosts |= own
    if not names:
        return None
    verb = plural(len(names), "uses", "use")
    noun = plural(len(hosts), "probe or lifecycle host", "probe or lifecycle hosts")
    return Violation(
        "probe or lifecycle host", f"{containers_text(sorted(names))} {verb} {noun} {quoted(sorted(hosts))}"
    )


def _network_hosts(container: Container) -> Iterator[str | None]:
    """Yields the host of each request that the kubelet makes for a container."""
    lifecycle = container.lifecycle
    hooks = (lifecycle.postStart, lifecycle.preStop) if lifecycle else ()
    actions: tuple[Probe | LifecycleHandler | None, ...] = (
        container.livenessProbe,
        container.readinessProbe,
        container.startupProbe,
        *hooks,
    )
    for action in actions:
        if action is not None and action.httpGet is not None:
            yield action.httpGet.host
        if action is not None and action.tcpSocket is not None:
            yield action.tcpSocket.host


def privileged(annotations: Annotations, spec: PodSpec) -> Violation | None:
    names = [item.name for item in all_containers(spec) if item.securityContext and item.securityContext.privileged]
    if not names:
        return None
    return Violation("privileged", f"{containers_text(names)} must not set securityContext.privileged=true")


def proc_mount(annotations: Annotations, spec: PodSpec) -> Violation | None:
    names, values = [], set()
    for container in all_containers(spec):
        value = container.securityContext.procMount if container.securityContext else None
        if value is not None and value != "Default":
            names.append(container.name)
            values.add(value)
    if not names:
        return None
    detail = f"{containers_text(names)} must not set securityContext.procMount to {quoted(sorted(values))}"
    return Violation("procMount", detail)


def selinux_options(types: frozenset[str]) -> CheckFunction:
    """`types` are allowed."""
    return partial(_selinux_options, types)


def _selinux_options(types: frozenset[str], annotations: Annotations, spec: PodSpec) -> Violation | None:
    bad: list[SELinuxOptions] = []

    def is_bad(options: SELinuxOptions | None) -> bool:
        if options is None or ((options.type or "") in types and not options.user and not options.role):
            return False
        bad.append(options)
        return True

    by_pod = is_bad(spec.securityContext.seLinuxOptions if spec.securityContext else None)
    names = [
        item.name
        for item in all_containers(spec)
        if is_bad(item.securityContext.seLinuxOptions if item.securityContext else None)
    ]
    if not bad:
        return None
    data = []
    if bad_types := sorted({options.type or "" for options in bad} - types):
        data.append(f"{plural(len(bad_types), 'type', 'types')} {quoted(bad_types)}")
    data += [f"{part} may not be set" for part in ("user", "role") if any(getattr(item, part) for item in bad)]
    setters = setters_text(by_pod, names)
    return Violation("seLinuxOptions", f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")


def seccomp_annotations(annotations: Annotations, spec: PodSpec) -> Violation | None:
    """The annotations of releases that had no field for the profile."""
    keys = [SECCOMP_POD_ANNOTATION, *(SECCOMP_ANNOTATION + container.name for container in all_containers(spec))]
    bad = {
        f"{key}={quote(value)}"
        for key in keys
        if (value := annotations.get(key)) is not None
        and value not in ("runtime/default", "docker/default")
        and not value.startswith("localhost/")
    }
    if not bad:
        return None
    return Violation(
        "seccompProfile", f"forbidden {plural(len(bad), 'annotation', 'annotations')} {', '.join(sorted(bad))}"
    )


def seccomp_profile(annotations: Annotations, spec: PodSpec) -> Violation | None:
    by_pod, names, types = _unconfined(spec, "seccompProfile")
    if not types:
        return None
    detail = f"{setters_text(by_pod, names)} must not set securityContext.seccompProfile.type to {quoted(types)}"
    return Violation("seccompProfile", detail)


def sysctls(names: frozenset[str]) -> CheckFunction:
    """`names` are allowed."""
    return partial(_sysctls, names)


def _sysctls(allowed: frozenset[str], annotations: Annotations, spec: PodSpec) -> Violation | None:
    pod = spec.securityContext
    bad = [sysctl.name for sysctl in (pod.sysctls if pod else None) or () if sysctl.name not in allowed]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def windows_host_process(annotations: Annotations, spec: PodSpec) -> Violation | None:
    pod = spec.securityContext
    by_pod = bool(pod and pod.windowsOptions and pod.windowsOptions.hostProcess)
    names = [
        container.name
        for container in all_containers(spec)
        if (context := container.securityContext) and context.windowsOptions and context.windowsOptions.hostProcess
    ]
    if not by_pod and not names:
        return None
    detail = f"{setters_text(by_pod, names)} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", detail)
