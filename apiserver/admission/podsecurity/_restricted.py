"""The checks that the level "restricted" adds: a container has no more rights than an ordinary process.

Source: Kubernetes documentation, "Pod Security Standards".
"""

from __future__ import annotations

from apiserver.admission.podsecurity._baseline import added_capabilities, seccomp_profile
from apiserver.admission.podsecurity._violation import (
    Annotations,
    CheckFunction,
    Violation,
    containers_text,
    plural,
    quoted,
    setters_text,
)
from kubeapi.core.pod.spec import PodSpec, all_containers
from kubeapi.core.pod.volumes import Volume

VOLUME_TYPES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)


def unless_windows(check: CheckFunction) -> CheckFunction:
    """The check, but for pods that say they run on Windows, where its field does not exist."""

    def check_others(annotations: Annotations, spec: PodSpec) -> Violation | None:
        return None if spec.os is not None and spec.os.name == "windows" else check(annotations, spec)

    return check_others


def unless_own_users(check: CheckFunction) -> CheckFunction:
    """The check, but for pods in a user namespace, whose root is not the host's."""

    def check_others(annotations: Annotations, spec: PodSpec) -> Violation | None:
        return None if spec.hostUsers is False else check(annotations, spec)

    return check_others


def privilege_escalation(annotations: Annotations, spec: PodSpec) -> Violation | None:
    names = [
        container.name
        for container in all_containers(spec)
        if not (context := container.securityContext) or context.allowPrivilegeEscalation is not False
    ]
    if not names:
        return None
    detail = f"{containers_text(names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail)


def capabilities(annotations: Annotations, spec: PodSpec) -> Violation | None:
    keeping, adding, added = [], [], set()
    for container in all_containers(spec):
        own = container.securityContext.capabilities if container.securityContext else None
        if "ALL" not in ((own.drop if own else None) or ()):
            keeping.append(container.name)
        beyond = set(added_capabilities(container)) - {"NET_BIND_SERVICE"}
        if beyond:
            adding.append(container.name)
            added |= beyond
    details = []
    if keeping:
        details.append(f'{containers_text(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        details.append(
            f"{containers_text(adding)} must not include {quoted(sorted(added))} in securityContext.capabilities.add"
        )
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def volumes(annotations: Annotations, spec: PodSpec) -> Violation | None:
    names, types = [], set()
    for volume in spec.volumes or ():
        if all(getattr(volume, name) is None for name in VOLUME_TYPES):
            names.append(volume.name)
            types.add(_source(volume))
    if not names:
        return None
    noun, verb = plural(len(names), "volume", "volumes"), plural(len(names), "uses", "use")
    kinds = plural(len(types), "restricted volume type", "restricted volume types")
    return Violation("restricted volume types", f"{noun} {quoted(names)} {verb} {kinds} {quoted(sorted(types))}")


def _source(volume: Volume) -> str:
    return next((name for name in volume.present() if name != "name"), "unknown")


def run_as_non_root(annotations: Annotations, spec: PodSpec) -> Violation | None:
    pod = spec.securityContext.runAsNonRoot if spec.securityContext else None
    explicit, implicit = [], []
    for container in all_containers(spec):
        own = container.securityContext.runAsNonRoot if container.securityContext else None
        if own is False:
            explicit.append(container.name)
        elif own is None and not pod:
            implicit.append(container.name)
    reason = "runAsNonRoot != true"
    if setters := setters_text(pod is False, explicit):
        return Violation(reason, f"{setters} must not set securityContext.runAsNonRoot=false")
    if implicit:
        return Violation(reason, f"pod or {containers_text(implicit)} must set securityContext.runAsNonRoot=true")
    return None


def run_as_user(annotations: Annotations, spec: PodSpec) -> Violation | None:
    pod = spec.securityContext
    names = [
        container.name
        for container in all_containers(spec)
        if (context := container.securityContext) and context.runAsUser == 0
    ]
    setters = setters_text(bool(pod and pod.runAsUser == 0), names)
    return Violation("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def required_seccomp_profile(annotations: Annotations, spec: PodSpec) -> Violation | None:
    if violation := seccomp_profile(annotations, spec):
        return violation
    if spec.securityContext and spec.securityContext.seccompProfile:
        return None
    names = [
        container.name
        for container in all_containers(spec)
        if not (context := container.securityContext) or context.seccompProfile is None
    ]
    if not names:
        return None
    what = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {containers_text(names)} must set {what}")
