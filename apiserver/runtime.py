"""A running API server: everything made in order, then served until cancelled."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from apimachinery.catalogue import Catalogue, load_catalogue
from apimachinery.resource import Resource
from apiserver.admission._plugin import Chain, Lookup, UnknownPlugin, enabled_plugins
from apiserver.app import Check, all_subresources, make_web
from apiserver.authn import Authenticator, TokenFileError, User, read_token_file
from apiserver.authz import AlwaysAllow
from apiserver.bootstrap import create_namespaces
from apiserver.context import Context
from apiserver.discovery import Discovery
from apiserver.filters import Filters
from apiserver.hooks import NO_HOOKS, Hooks, NamespaceHooks
from apiserver.inflight import InFlight
from apiserver.options import Options
from apiserver.requestmetrics import RequestMetrics
from apiserver.server import serve
from apiserver.storage import EtcdConfig, Storage
from apiserver.store import Store
from componentbase import logs, tls
from componentbase.clock import Clock
from componentbase.daemon import FatalError

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
    _log_collected(context)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(context.storage.run())
            group.create_task(inflight.run())
            group.create_task(_bootstrap(context, ready))
            group.create_task(
                serve(
                    app,
                    options.bind_address,
                    options.secure_port,
                    ssl_context,
                    started=lambda: log.info("serving", address=options.bind_address, port=options.secure_port),
                    stopping=lambda: stop(context),
                )
            )
    finally:
        metrics.unregister()


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
    storage, clock = Storage(config), Clock()
    core = {resource.plural: resource for resource in catalogue if not resource.group}
    try:
        plugins = enabled_plugins(options.disable_admission_plugins, options.enable_admission_plugins)
    except UnknownPlugin as error:
        raise FatalError(str(error)) from None
    chain = Chain(plugins, Lookup(storage, core))
    stores: dict[tuple[str, str], Store[Any]] = {}
    for resource in catalogue:
        storage.register(resource)
        ttl = options.event_ttl_seconds if resource.kind == "Event" else 0
        stores[(resource.group, resource.plural)] = Store(resource, storage, chain, clock, _hooks(resource), ttl)
    return Context(
        options=options,
        catalogue=catalogue,
        storage=storage,
        admission=chain,
        stores=stores,
        subresources=all_subresources(catalogue),
        authenticator=Authenticator(_tokens(options)),
        authorizer=AlwaysAllow(),
        kubelet=None,  # type: ignore[arg-type]
        clock=clock,
    )


def _hooks(resource: Resource[Any]) -> Hooks:
    return NamespaceHooks() if (resource.group, resource.plural) == ("", "namespaces") else NO_HOOKS


def _tokens(options: Options) -> dict[bytes, User]:
    if not options.token_auth_file:
        return {}
    try:
        return read_token_file(options.token_auth_file)
    except (TokenFileError, OSError) as error:
        raise FatalError(f"--token-auth-file: {error}") from None


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
    log.info("collected kinds", count=len(context.stores), names=",".join(sorted(store.resource.kind for store in context.stores.values())))
    log.info("collected admission plugins", names=",".join(plugin.name for plugin in context.admission.plugins))
    names = sorted(f"{plural}/{name}" for _, plural, name in context.subresources)
    log.info("collected subresources", names=",".join(names))


async def _bootstrap(context: Context, ready: Readiness) -> None:
    await context.storage.wait_loaded()
    await create_namespaces(context)
    ready.bootstrapped = True
    log.info("ready")


def stop(context: Context) -> None:
    """Ends what would otherwise last: every watch's client goes on elsewhere."""
    context.stopping = True
    for watcher in list(context.watchers):
        watcher.close()
