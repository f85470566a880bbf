"""The marks of headless Services and their endpoints."""

HEADLESS = "None"
"""The clusterIP of a headless Service."""
HEADLESS_LABEL = "service.kubernetes.io/headless"
"""Marks the Endpoints and EndpointSlices of a headless Service: kube-proxy leaves them alone."""
