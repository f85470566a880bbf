"""Roles."""

from __future__ import annotations

from kubectl.describe.kinds.rbac._rbac import write_role
from kubectl.describe.section import DescribeSection

DESCRIBE = DescribeSection(write_role, "rbac.authorization.k8s.io", events=False)
