"""A running API server: everything made in order, then served until cancelled."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from apimachinery.catalogue import Catalogue, load_catalogue
from apimachinery.errors import StatusError
from apiserver.admission._plugin import Chain, Lookup, UnknownPlugin, enabled_plugins
from apiserver.auth.authenticator import Authenticator, TokenFileError, read_token_file
from apiserver.auth.authorizer import AlwaysAllow
from apiserver.auth.tokens import JWKS_PATH, ServiceAccountTokens, TokenSettings
from apiserver.discovery.discovery import Discovery
from apiserver.http.server import http_server
from apiserver.main.app import all_subresources, make_web, virtual_handlers
from apiserver.main.bootstrap import create_namespaces, create_priority_classes
from apiserver.main.context import Context
from apiserver.main.endpoints import EndpointReconciler
from apiserver.main.options import Options
from apiserver.pipeline.filters import Filters
from apiserver.pipeline.inflight import InFlight
from apiserver.pipeline.metrics import RequestMetrics
from apiserver.proxy.kubelet import KubeletClient
from apiserver.registry.claims.allocators import Allocator, address_pool, port_pool
from apiserver.registry.claims.services import ADDRESS_CLAIMS, PORT_CLAIMS, Repair, ServiceHooks
from apiserver.registry.hooks import NO_HOOKS, NamespaceHooks
from apiserver.registry.store import Store
from apiserver.request.user import User
from apiserver.storage import CachedStorage, EtcdConfig, Storage
from apiserver.storage.interface import StorageError
from apiserver.storage.view import ViewStorage
from componentbase import logs, tls
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from componentbase.health import Check

BOOTSTRAP_RETRY_SECONDS = 1.0
WITHDRAW_SECONDS = 2.0

log = logs.logger(__name__)


async def run(options: Options) -> None:
    """Raises: FatalError for what the flags name and is not there."""
    catalogue = load_catalogue()
    ssl_context = _server_tls(options)
    context = make_context(options, catalogue)
    inflight = InFlight(
        options.max_requests_inflight, options.max_mutating_requests_inflight, options.request_timeout_seconds
    )
    metrics = RequestMetrics(inflight)
    metrics.register()
    ready = Readiness(context)
    discovery = Discovery(catalogue, context.subresources.values(), f"{options.bind_address}:{options.secure_port}")
    app = Filters(context, make_web(context, discovery, ready.checks()), inflight, metrics)
    endpoints = EndpointReconciler(context, _advertised(options), options.secure_port)
    _log_collected(context)
    storage = asyncio.create_task(context.storage.run())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_end_with(storage))
            group.create_task(inflight.run())
            group.create_task(context.repair.run())
            group.create_task(_bootstrap(context, endpoints, ready))
            group.create_task(
                http_server(app).run(
                    options.bind_address,
                    options.secure_port,
                    ssl_context,
                    started=lambda: log.info("serving", address=options.bind_address, port=options.secure_port),
                    stopping=lambda: stop(context),
                )
            )
    finally:
        metrics.unregister()
        await _last_words(context, endpoints)
        storage.cancel()
        await asyncio.wait({storage})


async def _end_with(storage: asyncio.Task[None]) -> None:
    """Storage outlives the group that this runs in, but a death of it ends the server."""
    await asyncio.shield(storage)


async def _last_words(context: Context, endpoints: EndpointReconciler) -> None:
    if context.storage.ready:
        try:
            async with asyncio.timeout(WITHDRAW_SECONDS):
                await endpoints.withdraw()
        except TimeoutError:
            log.warning("own address not withdrawn in time")


def _advertised(options: Options) -> str:
    """The address given, else the one served on, else that of the interface towards the outside."""
    for address in (options.advertise_address, options.bind_address):
        if address and not ip_address(address).is_unspecified:
            return address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks the kernel which way it would go
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


class Readiness:
    """What /readyz asks: the cache follows etcd, and the first objects have been made."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.bootstrapped = False

    def checks(self) -> dict[str, dict[str, Check]]:
        live: dict[str, Check] = {"ping": lambda: ""}
        ready: dict[str, Check] = live | {
            "etcd": self._etcd,
            "poststarthook/bootstrap": lambda: "" if self.bootstrapped else "not finished",
            "shutdown": lambda: "process is shutting down" if self._context.stopping else "",
        }
        return {"healthz": live | {"etcd": self._etcd}, "livez": live, "readyz": ready}

    def _etcd(self) -> str:
        return "" if self._context.storage.ready else "the watch cache does not follow etcd"


def make_context(options: Options, catalogue: Catalogue) -> Context:
    """Raises: FatalError."""
    config = EtcdConfig(options.etcd_servers, options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile)
    storage, clock = CachedStorage(config), Clock()
    core = {resource.plural: resource for resource in catalogue if not resource.group}
    try:
        plugins = enabled_plugins(options.disable_admission_plugins, options.enable_admission_plugins)
    except UnknownPlugin as error:
        raise FatalError(str(error)) from None
    chain = Chain(plugins, Lookup(storage, {(kind.group, kind.plural): kind for kind in catalogue}))
    addresses = Allocator(storage, ADDRESS_CLAIMS, address_pool(options.service_cluster_ip_range), clock)
    ports = Allocator(storage, PORT_CLAIMS, port_pool(options.service_node_ports), clock)
    hooks = {"namespaces": NamespaceHooks(), "services": ServiceHooks(addresses, ports)}
    stores: dict[tuple[str, str], Store[Any]] = {}
    for resource in catalogue:
        own_storage: Storage = storage
        if resource.view is not None:
            own_storage = ViewStorage(storage, resource.view)
        elif resource.stored:
            storage.register(resource)
        ttl = options.event_ttl_seconds if resource.kind == "Event" else 0
        own = hooks.get(resource.plural, NO_HOOKS) if not resource.group else NO_HOOKS
        stores[(resource.group, resource.plural)] = Store(resource, own_storage, chain, clock, own, ttl)
    options = replace(options, service_account_signing_key_file=_signing_key(options))
    tokens = ServiceAccountTokens(_token_settings(options), storage, core, clock)
    return Context(
        options=options,
        catalogue=catalogue,
        storage=storage,
        admission=chain,
        stores=stores,
        subresources=all_subresources(catalogue),
        virtual=virtual_handlers(catalogue),
        authenticator=Authenticator(_tokens(options), tokens),
        tokens=tokens,
        authorizer=AlwaysAllow(),
        kubelet=KubeletClient(options, storage, core["nodes"]),
        clock=clock,
        repair=Repair(storage, core["services"], addresses, ports),
    )


def _tokens(options: Options) -> dict[bytes, User]:
    if not options.token_auth_file:
        return {}
    try:
        return read_token_file(options.token_auth_file)
    except (TokenFileError, OSError) as error:
        raise FatalError(f"--token-auth-file: {error}") from None


def _token_settings(options: Options) -> TokenSettings:
    address = f"https://{_advertised(options)}:{options.secure_port}{JWKS_PATH}"
    return TokenSettings(
        issuers=options.service_account_issuers,
        audiences=options.api_audiences,
        jwks_uri=options.service_account_jwks_uri or address,
        max_seconds=options.service_account_max_token_seconds,
        signing_key_file=options.service_account_signing_key_file,
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


def _server_tls(options: Options) -> ssl.SSLContext:
    cert, key = options.tls_cert_file, options.tls_private_key_file
    if not cert:
        addresses = tuple({options.advertise_address, options.bind_address} - {"", "0.0.0.0", "::"})
        cert, key = tls.self_signed(options.cert_dir, "apiserver", addresses)
    try:
        return tls.server_context(cert, key, options.client_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise FatalError(f"serving certificate: {error}") from None


def _log_collected(context: Context) -> None:
    log.info(
        "collected kinds",
        count=len(context.stores),
        names=",".join(sorted(store.resource.kind for store in context.stores.values())),
    )
    log.info("collected admission plugins", names=",".join(plugin.name for plugin in context.admission.plugins))
    names = sorted(f"{plural}/{name}" for _, plural, name in context.subresources)
    log.info("collected subresources", names=",".join(names))


async def _bootstrap(context: Context, endpoints: EndpointReconciler, ready: Readiness) -> None:
    """The first objects; then keeps this server among the endpoints of the `kubernetes` Service."""
    await context.storage.wait_loaded()
    while not ready.bootstrapped:
        try:
            await create_namespaces(context)
            await create_priority_classes(context)
            await endpoints.create_service()
            ready.bootstrapped = True
        except (StorageError, StatusError) as error:
            log.warning("bootstrap failed", error=str(error))
            await asyncio.sleep(BOOTSTRAP_RETRY_SECONDS)
    log.info("ready")
    await endpoints.run()


def stop(context: Context) -> None:
    """Ends what would otherwise last: every watch's client goes on elsewhere."""
    context.stopping = True
    for close in list(context.closers):
        close()
