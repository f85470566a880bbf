"""ClusterRoleBindings."""

from __future__ import annotations

from kubectl.describe.kinds.rbac._rbac import write_binding
from kubectl.describe.section import DescribeSection

DESCRIBE = DescribeSection(write_binding, "rbac.authorization.k8s.io", events=False)
