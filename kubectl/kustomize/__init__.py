"""Kustomizations: what `-k` and `kustomize` build, by the rules of kustomize v5, without its plugins."""
