"""Merges the security contexts of a pod and its container into what the runtime is asked for. Pure."""

from __future__ import annotations

from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.security import AppArmorProfile, Capabilities, PodSecurityContext, SeccompProfile, SecurityContext
from kubeapi.core.pod.spec import Container
from kubelet.container.spec import full_name
from kubelet.runtime.configs import Security
from kubelet.runtime.interface import ImageInfo

SELINUX_FIELDS = ("user", "role", "type", "level")


def merged_security(
    pod: PodSecurityContext | None,
    container: SecurityContext | None,
    *,
    extra_groups: tuple[int, ...] = (),
    seccomp_default: str = "Unconfined",
) -> Security:
    """The container's fields win over the pod's; `fsGroup` becomes a supplemental group."""
    pod, container = pod or PodSecurityContext(), container or SecurityContext()
    groups = [*extra_groups, *(pod.supplementalGroups or ()), *(() if pod.fsGroup is None else (pod.fsGroup,))]
    add, drop = _capabilities(container.capabilities or Capabilities())
    label = container.seLinuxOptions or pod.seLinuxOptions
    return Security(
        run_as_user=pod.runAsUser if container.runAsUser is None else container.runAsUser,
        run_as_group=pod.runAsGroup if container.runAsGroup is None else container.runAsGroup,
        supplemental_groups=tuple(dict.fromkeys(groups)),
        strict_groups=pod.supplementalGroupsPolicy == "Strict",
        privileged=bool(container.privileged),
        add_capabilities=add,
        drop_capabilities=drop,
        read_only_root_filesystem=bool(container.readOnlyRootFilesystem),
        no_new_privileges=container.allowPrivilegeEscalation is False,
        unmasked_proc=container.procMount == "Unmasked",
        seccomp=_profile(container.seccompProfile or pod.seccompProfile, seccomp_default),
        apparmor=_profile(container.appArmorProfile or pod.appArmorProfile, "RuntimeDefault"),
        selinux=tuple((name, value) for name in SELINUX_FIELDS if label and (value := getattr(label, name))),
    )


def _capabilities(capabilities: Capabilities) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Has what is dropped win over what is added, but a capability that is added by name over dropping ALL."""
    add = [_capability(name) for name in capabilities.add or ()]
    drop = [_capability(name) for name in capabilities.drop or ()]
    if "ALL" in drop:
        add = [name for name in add if name != "ALL"]
    return tuple(name for name in add if name == "ALL" or name not in drop), tuple(drop)


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _profile(profile: SeccompProfile | AppArmorProfile | None, default: str) -> str:
    if profile is None or not profile.type:
        return default
    return f"Localhost/{profile.localhostProfile or ''}" if profile.type == "Localhost" else profile.type


def non_root_error(pod: Pod, container: Container, image: ImageInfo) -> str:
    """Says why `runAsNonRoot` forbids this container to start, in upstream's words; "" when it may."""
    own, whole = container.securityContext, pod.spec.securityContext
    required = own.runAsNonRoot if own and own.runAsNonRoot is not None else (whole.runAsNonRoot if whole else None)
    if not required:
        return ""
    where = f'(pod: "{full_name(pod)}", container: {container.name})'
    user = merged_security(whole, own).run_as_user
    if user is not None:
        return f"container's runAsUser breaks non-root policy {where}" if user == 0 else ""
    if image.uid is None:
        name = image.user.partition(":")[0]
        return (
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {where}"
        )
    return f"container has runAsNonRoot and image will run as root {where}" if image.uid == 0 else ""
