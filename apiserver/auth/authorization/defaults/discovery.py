"""The rights of everyone to ask about the cluster and themselves, and of those who monitor it or check its users."""

from __future__ import annotations

from apiserver.auth.authorization.defaults._role import allow, allow_paths, group, role

ROLES = (
    role(
        "system:basic-user",
        allow("create", "selfsubjectaccessreviews selfsubjectrulesreviews", "authorization.k8s.io"),
        allow("create", "selfsubjectreviews", "authentication.k8s.io"),
        subjects=(group("system:authenticated"),),
    ),
    role(
        "system:discovery",
        allow_paths("get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
        subjects=(group("system:authenticated"),),
    ),
    role(
        "system:public-info-viewer",
        allow_paths("get", "/healthz /livez /readyz /version /version/"),
        subjects=(group("system:authenticated"), group("system:unauthenticated")),
    ),
    role(
        "system:service-account-issuer-discovery",
        allow_paths(
            "get",
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
        ),
        subjects=(group("system:serviceaccounts"),),
    ),
    role(
        "system:monitoring",
        allow_paths(
            "get", "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz"
        ),
        allow("get", "nodes/metrics"),
        subjects=(group("system:monitoring"),),
    ),
    role(
        "system:auth-delegator",
        allow("create", "tokenreviews", "authentication.k8s.io"),
        allow("create", "subjectaccessreviews", "authorization.k8s.io"),
    ),
)
