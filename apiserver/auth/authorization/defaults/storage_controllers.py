"""The rights of the controllers of volumes, claims and devices."""

from __future__ import annotations

from apiserver.auth.authorization.defaults._role import EVENTS, READ, allow, controller

ROLES = (
    controller(
        "attachdetach-controller",
        allow("list watch", "persistentvolumeclaims persistentvolumes"),
        allow(READ, "nodes"),
        allow("update patch", "nodes/status"),
        allow("list watch", "pods"),
        EVENTS,
        allow(f"{READ} create delete", "volumeattachments", "storage.k8s.io"),
        allow(READ, "csidrivers", "storage.k8s.io"),
        allow(READ, "csinodes", "storage.k8s.io"),
    ),
    controller(
        "ephemeral-volume-controller",
        allow(READ, "pods"),
        allow("update", "pods/finalizers"),
        allow(f"{READ} create", "persistentvolumeclaims"),
        EVENTS,
    ),
    controller(
        "expand-controller",
        allow(f"{READ} update patch", "persistentvolumes"),
        allow("update patch", "persistentvolumeclaims/status"),
        allow(READ, "persistentvolumeclaims"),
        EVENTS,
    ),
    controller(
        "persistent-volume-binder",
        allow(f"{READ} create update delete", "persistentvolumes"),
        allow("update", "persistentvolumes/status"),
        allow(f"{READ} update", "persistentvolumeclaims"),
        allow("update", "persistentvolumeclaims/status"),
        allow(f"{READ} create delete", "pods"),
        allow(READ, "storageclasses", "storage.k8s.io"),
        allow("list watch", "nodes"),
        EVENTS,
        allow("watch", "events"),
    ),
    controller(
        "pv-protection-controller",
        allow(f"{READ} update", "persistentvolumes"),
        EVENTS,
    ),
    controller(
        "pvc-protection-controller",
        allow(f"{READ} update", "persistentvolumeclaims"),
        allow("update", "persistentvolumeclaims/status"),
        allow(READ, "pods"),
        EVENTS,
    ),
    controller(
        "selinux-warning-controller",
        EVENTS,
        allow(READ, "persistentvolumes"),
        allow(READ, "persistentvolumeclaims"),
        allow(READ, "pods"),
        allow(READ, "csidrivers", "storage.k8s.io"),
    ),
    controller(
        "volumeattributesclass-protection-controller",
        allow(READ, "persistentvolumeclaims"),
        allow(READ, "persistentvolumes"),
        allow(f"{READ} update", "volumeattributesclasses", "storage.k8s.io"),
        EVENTS,
    ),
    controller(
        "resource-claim-controller",
        allow(READ, "pods"),
        allow("update", "pods/finalizers"),
        allow(f"{READ} create delete", "resourceclaims", "resource.k8s.io"),
        allow("update patch", "resourceclaims resourceclaims/status", "resource.k8s.io"),
        allow("update patch", "pods/status"),
        EVENTS,
        allow("update patch", "resourceclaims/binding", "resource.k8s.io"),
    ),
    controller(
        "device-taint-eviction-controller",
        allow(f"{READ} delete", "pods"),
        allow("update patch", "pods/status"),
        allow(READ, "resourceclaims", "resource.k8s.io"),
        allow(READ, "resourceslices", "resource.k8s.io"),
        allow(READ, "deviceclasses", "resource.k8s.io"),
        EVENTS,
    ),
)
