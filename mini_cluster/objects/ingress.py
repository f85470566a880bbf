"""Makes the class of Ingresses that our controller serves, and gives the controller its rights."""

from __future__ import annotations

from mini_cluster.api import AdminApi
from mini_cluster.objects.roles import EVENTS, READ, ROLES, grant, rule, user

CLASS, CONTROLLER = "mini", "mini-kubernetes.io/ingress"
ROLE = "mini-kubernetes:ingress-controller"
GROUP = "networking.k8s.io"
RULES = (
    rule([""], ["services", "secrets"], READ),  # certificates may be in any namespace
    rule(["discovery.k8s.io"], ["endpointslices"], READ),
    rule([GROUP], ["ingresses", "ingressclasses"], READ),
    rule([GROUP], ["ingresses/status"], ["update"]),
    EVENTS,
)


def ensure_ingress(api: AdminApi) -> None:
    """Makes what is missing in a new cluster; later the class is the user's, who may want another. Raises: ApiError.

    The role is made last, and tells that all has been made.
    """
    if api.exists(f"{ROLES}/{ROLE}"):
        return
    ingress_class = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS, "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"controller": CONTROLLER},
    }
    api.create_missing(f"/apis/{GROUP}/v1/ingressclasses", ingress_class)
    grant(api, ROLE, RULES, [user("system:ingress-controller")])
