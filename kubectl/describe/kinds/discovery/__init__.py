"""The descriptions of the kinds in discovery.k8s.io."""
