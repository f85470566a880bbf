"""ReplicationControllers, which read as ReplicaSets do."""

from __future__ import annotations

from kubectl.describe.kinds.apps.replicaset import write_replicaset
from kubectl.describe.section import DescribeSection

DESCRIBE = DescribeSection(write_replicaset)
