"""The API server's storage: objects in etcd, and all of them in memory as they are served.

`CachedStorage` does the work; `interface` says what it offers to the rest of the server.
"""

from apiserver.storage.cached import CachedStorage
from apiserver.storage.interface import Storage
from etcdclient.client import EtcdConfig

__all__ = ["CachedStorage", "EtcdConfig", "Storage"]
