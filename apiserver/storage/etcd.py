"""etcd's client with the errors of storage in place of its own."""

from __future__ import annotations

from apiserver.storage.interface import Compacted, StorageError, StorageUnavailable, ValueTooLarge
from etcdclient import client
from etcdclient.client import EtcdClient, EtcdConfig, EtcdError


class LeaseNotFound(StorageError):
    """The lease that a key should hang on has expired meanwhile."""


_STORAGE_ERRORS: dict[type[EtcdError], type[StorageError]] = {
    client.RevisionCompacted: Compacted,
    client.RequestTooLarge: ValueTooLarge,
    client.LeaseNotFound: LeaseNotFound,
}


def etcd_client(config: EtcdConfig) -> EtcdClient:
    """Returns a client whose calls raise StorageErrors: Compacted, ValueTooLarge, LeaseNotFound, StorageUnavailable."""
    return EtcdClient(config, lambda error: _STORAGE_ERRORS.get(type(error), StorageUnavailable)(str(error)))
