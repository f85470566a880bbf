"""Publishes how the API servers of this cluster authenticate clients, for the aggregated servers behind them.

The ConfigMap `extension-apiserver-authentication` in kube-system holds the authorities of client certificates, and how
a front proxy names users. Several API servers add to it; an authority stays in it until its certificate expires.
Source: Kubernetes documentation, "Configure the Aggregation Layer".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from apimachinery.meta import ObjectMeta
from apiserver.main.bootstrap import create_missing
from apiserver.options.options import Options
from apiserver.registry.changes import Edit
from apiserver.registry.stores import Stores
from apiserver.request.user import APISERVER
from kubeapi.core.configmap import ConfigMap

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def own_data(options: Options) -> dict[str, str]:
    """Returns what this server publishes; {} without authorities. Raises: OSError."""
    data, proxies = {}, options.authentication.request_header
    if options.client_ca_file:
        data["client-ca-file"] = Path(options.client_ca_file).read_text()
    if proxies.client_ca_file:
        data["requestheader-client-ca-file"] = Path(proxies.client_ca_file).read_text()
        for key, names in (
            ("allowed-names", proxies.allowed_names),
            ("username-headers", proxies.username_headers),
            ("uid-headers", proxies.uid_headers),
            ("group-headers", proxies.group_headers),
            ("extra-headers-prefix", proxies.extra_headers_prefix),
        ):
            data[f"requestheader-{key}"] = json.dumps(names)
    return data


def merge(old: Mapping[str, str], own: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Returns the data of all servers; `old` has those of the others."""
    merged = dict(old)
    for key, value in own.items():
        before = old.get(key, "")
        if before == value:
            continue
        merged[key] = _merge_bundles(before, value, now) if key.endswith("-ca-file") else _merge_lists(before, value)
    return merged


def _merge_lists(old: str, own: str) -> str:
    """An empty list of allowed names allows all, and so it stays empty."""
    try:
        names = json.loads(old) if old else None
    except ValueError:
        names = None
    added = json.loads(own)
    if not isinstance(names, list) or not added:
        return own
    return json.dumps(list(dict.fromkeys([*names, *added]))) if names else old


def _merge_bundles(old: str, own: str, now: datetime) -> str:
    from cryptography import x509  # only where the bundles differ: the import takes 50 ms

    valid = []
    for pem in PEM.findall(old):
        try:
            expires = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
        except ValueError:
            continue  # of no use to anyone
        if expires > now:
            valid.append(pem)
    return "".join(f"{pem}\n" for pem in dict.fromkeys([*valid, *PEM.findall(own)]))


async def publish_authentication(stores: Stores, options: Options) -> None:
    """Raises: StatusError, StorageError, OSError."""
    own = own_data(options)
    if not own:
        return
    store = stores.find("configmaps")
    if await create_missing(store, ConfigMap(metadata=ObjectMeta(name=NAME, namespace=NAMESPACE), data=own)):
        return

    def add_own(old: ConfigMap) -> ConfigMap:
        new = old.clone()
        new.data = merge(old.data or {}, own, datetime.now(UTC))
        return new

    await store.update(NAMESPACE, NAME, Edit(add_own), APISERVER)
