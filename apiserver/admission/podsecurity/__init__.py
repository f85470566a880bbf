"""PodSecurity: the Pod Security Standards, enforced by labels of namespaces."""
