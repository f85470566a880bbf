"""The metrics server: metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io, behind the API server.

It is an API server of its own, made from the same parts: `kinds/` and `handlers/` say what it serves, `server.py` puts
it together. What nodes and pods use it asks of kubelets (`kubelets.py`, `usage.py`), what pods tell of themselves of
the pods (`scraper.py`, `series.py`), both when somebody wants to know. It keeps nothing but the last answers.
"""
