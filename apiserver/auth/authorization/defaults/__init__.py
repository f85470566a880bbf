"""The roles that every cluster has, with those who hold them: data, one file per subject, each with its `ROLES`.

Source: Kubernetes documentation, "Using RBAC Authorization", "Default roles and role bindings".
"""
