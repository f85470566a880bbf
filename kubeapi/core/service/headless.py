"""Names how a Service says that it has no address of its own, and how its endpoints say so."""

HEADLESS = "None"
"""The clusterIP of a headless Service."""
HEADLESS_LABEL = "service.kubernetes.io/headless"
"""Marks the Endpoints and EndpointSlices of a headless Service: kube-proxy leaves them alone."""
