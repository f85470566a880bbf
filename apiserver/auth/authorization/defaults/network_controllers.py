"""The rights of the controllers of services and routes."""

from __future__ import annotations

from apiserver.auth.authorization.defaults._role import EVENTS, READ, allow, controller

ROLES = (
    controller(
        "endpoint-controller",
        allow(READ, "pods services"),
        allow(f"{READ} create update delete", "endpoints"),
        allow("create", "endpoints/restricted"),
        EVENTS,
    ),
    controller(
        "endpointslice-controller",
        allow(READ, "nodes pods services"),
        allow("update", "services/finalizers"),
        allow(f"{READ} create update delete", "endpointslices", "discovery.k8s.io"),
        allow("create", "endpointslices/restricted", "discovery.k8s.io"),
        EVENTS,
    ),
    controller(
        "endpointslicemirroring-controller",
        allow(READ, "endpoints services"),
        allow("update", "services/finalizers"),
        allow("update", "endpoints/finalizers"),
        allow(f"{READ} create update delete", "endpointslices", "discovery.k8s.io"),
        allow("create", "endpointslices/restricted", "discovery.k8s.io"),
        EVENTS,
    ),
    controller(
        "route-controller",
        allow("list watch", "nodes"),
        allow("patch", "nodes/status"),
        EVENTS,
    ),
    controller(
        "service-controller",
        allow(READ, "services"),
        allow("update patch", "services/status"),
        allow("list watch", "nodes"),
        EVENTS,
    ),
    controller(
        "service-cidrs-controller",
        allow(f"{READ} update patch", "servicecidrs", "networking.k8s.io"),
        allow("update patch", "servicecidrs/finalizers", "networking.k8s.io"),
        allow("update patch", "servicecidrs/status", "networking.k8s.io"),
        allow(READ, "ipaddresses", "networking.k8s.io"),
        EVENTS,
    ),
)
