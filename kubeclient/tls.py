"""The TLS settings of a client's configuration, for the daemons' client and for mini-kubectl."""

from __future__ import annotations

import ssl

from componentbase.tls import client_context
from kubeclient.config import ClientConfig


def tls_context(config: ClientConfig) -> ssl.SSLContext | None:
    """None for a server without TLS. The name to verify is `config.server_name`, which each connection gives.

    Raises: OSError, ssl.SSLError for certificates that cannot be read.
    """
    if not config.secure:
        return None
    return client_context(
        ca_file=config.ca_file,
        ca_data=config.ca_data,
        cert_file=config.cert_file,
        key_file=config.key_file,
        cert_data=config.cert_data,
        key_data=config.key_data,
        insecure=config.insecure,
    )
