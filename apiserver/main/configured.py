"""The parts of a server that its flags describe, made or read; an error names the flag."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from apimachinery.catalogue import Catalogue
from apimachinery.features import FEATURES
from apimachinery.resource import Resource
from apiserver.admission._configuration import read_plugin_configurations
from apiserver.admission._plugin import Plugin, UnknownPlugin, enabled_plugins
from apiserver.auth.authentication.tokens import JWKS_PATH, TokenSettings
from apiserver.auth.authorization.authorizer import Authorizer
from apiserver.auth.authorization.modes import Sources, make_authorizer
from apiserver.encryption.reload import EncryptionReloader
from apiserver.options.options import Options
from apiserver.pipeline.inflight import InFlight
from apiserver.proxy.kubelet import KubeletClient
from apiserver.storage import CachedStorage, EtcdConfig
from componentbase import tls
from componentbase.configfile import ConfigFileError
from componentbase.daemon import FatalError
from componentbase.net.authority import join_host_port
from componentbase.net.own_address import own_address
from kubeclient.access.config import ConfigError


def etcd_config(options: Options) -> EtcdConfig:
    return EtcdConfig(options.etcd_servers, options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile)


def advertised_address(options: Options) -> str:
    """The address given, else the one served on, else that of the interface towards the outside."""
    for address in (options.advertise_address, options.bind_address):
        if address and not ip_address(address).is_unspecified:
            return address
    try:
        return own_address()
    except OSError:
        return "127.0.0.1"


def set_features(options: Options) -> None:
    """Raises: FatalError."""
    for name, enabled in options.feature_gates.items():
        if name not in FEATURES:
            raise FatalError(f"--feature-gates: unrecognized feature gate: {name}")
        FEATURES[name].enabled = enabled


def configured_authorizer(options: Options, sources: Sources) -> Authorizer:
    """Raises: FatalError."""
    try:
        return make_authorizer(options.authorization_modes, sources)
    except ConfigError as error:
        raise FatalError(f"--authorization-webhook-config-file: {error}") from None


def token_settings(options: Options, address: str) -> TokenSettings:
    """`address` is where others reach this server. Raises: FatalError."""
    return TokenSettings(
        issuers=options.service_account_issuers,
        audiences=options.api_audiences,
        jwks_uri=options.service_account_jwks_uri
        or f"https://{join_host_port(address, options.secure_port)}{JWKS_PATH}",
        max_seconds=options.service_account_max_token_seconds,
        signing_key_file=_signing_key(options),
        key_files=options.service_account_key_files,
    )


def _signing_key(options: Options) -> str:
    """The file of the key that signs tokens; made in --cert-dir when none is given. Raises: FatalError."""
    file = options.service_account_signing_key_file
    for flag, name in [
        ("--service-account-signing-key-file", file),
        *(("--service-account-key-file", name) for name in options.service_account_key_files),
    ]:
        try:
            if name and b"-----BEGIN" not in Path(name).read_bytes():
                raise FatalError(f"{flag}: {name} holds no PEM key")
        except OSError as error:
            raise FatalError(f"{flag}: {error}") from None
    try:
        return file or tls.private_key(options.cert_dir, "service-account")
    except OSError as error:
        why = f"none is given, and none can be made in --cert-dir: {error}"
        raise FatalError(f"--service-account-signing-key-file: {why}") from None


def kubelet_client(options: Options, storage: CachedStorage, nodes: Resource[Any]) -> KubeletClient:
    return KubeletClient(
        options.kubelet_certificate_authority,
        options.kubelet_client_certificate,
        options.kubelet_client_key,
        storage,
        nodes,
    )


def in_flight_limits(options: Options, *, bounded: bool) -> InFlight:
    """The bounds of requests at once count unless priority and fairness share them out."""
    bounds = (options.max_requests_inflight, options.max_mutating_requests_inflight) if bounded else (0, 0)
    return InFlight(*bounds, options.request_timeout_seconds)


def server_tls(options: Options) -> ssl.SSLContext:
    """Without a certificate in the flags, one in --cert-dir is used, and made when missing. Raises: FatalError."""
    cert, key = options.tls_cert_file, options.tls_private_key_file
    if not cert:
        addresses = tuple({options.advertise_address, options.bind_address} - {"", "0.0.0.0", "::"})
        cert, key = tls.self_signed(options.cert_dir, "apiserver", addresses)
    try:
        return tls.server_context(
            cert, key, options.client_ca_file, options.authentication.request_header.client_ca_file
        )
    except (OSError, ssl.SSLError) as error:
        raise FatalError(f"serving certificate: {error}") from None


def encryption_reloader(options: Options, storage: CachedStorage, catalogue: Catalogue) -> EncryptionReloader | None:
    """Encrypts what the configuration lists from now on. Raises: FatalError."""
    file = options.encryption_provider_config
    if not file:
        if options.encryption_provider_config_automatic_reload:
            raise FatalError("--encryption-provider-config-automatic-reload needs --encryption-provider-config")
        return None
    stored = [(kind.group, kind.plural) for kind in catalogue if kind.stored and kind.view is None]
    try:
        return EncryptionReloader(file, storage, stored)
    except ConfigFileError as error:
        raise FatalError(f"--encryption-provider-config: {error}") from None


def admission_plugins(options: Options) -> list[Plugin]:
    """Raises: FatalError."""
    try:
        file = options.admission_control_config_file
        configurations = read_plugin_configurations(file) if file else {}
        return enabled_plugins(options.disable_admission_plugins, options.enable_admission_plugins, configurations)
    except UnknownPlugin as error:
        raise FatalError(str(error)) from None
    except ConfigFileError as error:
        raise FatalError(f"--admission-control-config-file: {error}") from None
