"""What the API server keeps: objects in etcd, and all of them in memory as they are served.

`Storage` is the door; `interface` holds what goes through it.
"""

from apiserver.storage.etcd import EtcdConfig
from apiserver.storage.facade import Storage

__all__ = ["EtcdConfig", "Storage"]
