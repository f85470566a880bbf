"""The descriptions of the kinds in certificates.k8s.io."""
