"""The certificates of a running kubelet: the TLS settings of its server, and the loops that renew them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from typing import Any

from componentbase import tls
from componentbase.clock import Clock
from kubeclient.rest import RestClient
from kubelet.certificate.bootstrap import CLIENT, is_rotated
from kubelet.certificate.files import CertificateFiles
from kubelet.certificate.request import client_certificate, serving_certificate
from kubelet.certificate.rotation import Rotation
from kubelet.options import Options

SERVER = "kubelet-server"


async def serving_context(options: Options, clock: Clock) -> ssl.SSLContext:
    """Makes the settings of the server: by the flags' certificate, the cluster's, or one that it signs itself.

    Raises: OSError, ssl.SSLError.
    """
    cert_file, key_file = options.tls_cert_file, options.tls_private_key_file
    files = CertificateFiles(options.cert_dir, SERVER, clock)
    if options.rotate_server_certificates and files.load() is not None:
        cert_file = key_file = str(files.current)
    if not cert_file:
        addresses = (options.address,) if options.address not in ("0.0.0.0", "::") else ()
        cert_file, key_file = await asyncio.to_thread(tls.self_signed, options.cert_dir, "kubelet", addresses)
    return tls.server_context(cert_file, key_file, options.client_ca_file)


def renewals(
    options: Options, rest: RestClient, serving: ssl.SSLContext, clock: Clock
) -> list[Coroutine[Any, Any, None]]:
    """Returns the loops that renew certificates. New connections of the server and of `rest` use the new ones."""
    loops = []
    client = CertificateFiles(options.cert_dir, CLIENT, clock)
    if options.rotate_certificates and is_rotated(rest.config, client):
        loops.append(Rotation(rest, client_certificate(options.node_name), client, clock, rest.renew_certificate).run())
    if options.rotate_server_certificates:
        server = CertificateFiles(options.cert_dir, SERVER, clock)
        wanted = serving_certificate(options.node_name, options.node_ips)
        loops.append(Rotation(rest, wanted, server, clock, lambda: serving.load_cert_chain(server.current)).run())
    return loops
