"""The TLS settings of a client's configuration, for the daemons' client and for mini-kubectl."""

from __future__ import annotations

import os
import ssl

from componentbase import logs
from componentbase.tls import client_context
from kubeclient.access.config import ClientConfig

log = logs.logger(__name__)


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


class CertificateFiles:
    """The files of a client certificate, which whoever renews it replaces."""

    def __init__(self, config: ClientConfig, context: ssl.SSLContext) -> None:
        self._config, self._context = config, context
        self._loaded = self._version()

    def _version(self) -> tuple[tuple[int, int], ...]:
        statuses = [os.stat(file) for file in (self._config.cert_file, self._config.key_file) if file]
        return tuple((status.st_ino, status.st_mtime_ns) for status in statuses)

    def follow(self) -> None:
        """Has later connections show what is in the files now. One that can't be read leaves things as they are."""
        try:
            version = self._version()
            if version != self._loaded:
                self._context.load_cert_chain(self._config.cert_file, self._config.key_file or None)
                self._loaded = version
        except (OSError, ssl.SSLError) as error:
            log.warning("client certificate not read again", file=self._config.cert_file, error=str(error))
