"""A running API server: everything made in order, then served until cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from apimachinery.catalogue import load_catalogue
from apimachinery.errors import StatusError
from apimachinery.resource import Resource
from apiserver.admission._plugin import Chain, Lookup
from apiserver.aggregation.availability import AvailabilityChecker
from apiserver.aggregation.local import LocalServices
from apiserver.aggregation.proxy import Aggregator
from apiserver.apiextensions.hooks import DefinitionHooks
from apiserver.apiextensions.serving import CustomKinds
from apiserver.apiextensions.upkeep import DefinitionUpkeep
from apiserver.auth.authentication.openid import add_openid
from apiserver.auth.authentication.tokens import ServiceAccountTokens
from apiserver.auth.authorization.modes import Sources
from apiserver.auth.authorization.rbac import Rbac
from apiserver.discovery.discovery import Discovery
from apiserver.discovery.foreign import ForeignVersions
from apiserver.discovery.openapi.serving import Documents
from apiserver.flowcontrol.keeper import FlowControlKeeper
from apiserver.flowcontrol.metrics import FlowMetrics
from apiserver.handlers.api import Services
from apiserver.http.server import http_server
from apiserver.main.audit import make_auditor
from apiserver.main.authentication import make_authenticator
from apiserver.main.authentication_configmap import publish_authentication
from apiserver.main.bootstrap import create_namespaces, create_priority_classes
from apiserver.main.collected import all_subresources, virtual_handlers
from apiserver.main.configured import (
    admission_plugins,
    advertised_address,
    configured_authorizer,
    encryption_reloader,
    etcd_config,
    in_flight_limits,
    kubelet_client,
    server_tls,
    set_features,
    token_settings,
)
from apiserver.main.customkinds import KindPublisher
from apiserver.main.defaultroles import create_default_roles
from apiserver.main.endpoints import EndpointReconciler
from apiserver.main.fairness import add_debug_routes, make_flow_control
from apiserver.main.legacytokens import LegacyTokenUse
from apiserver.main.servicecidr import DefaultServiceCIDR
from apiserver.main.web import make_web
from apiserver.options.options import Options
from apiserver.pipeline.metrics import RequestMetrics
from apiserver.pipeline.pipeline import Pipeline
from apiserver.pipeline.routes import Routes
from apiserver.proxy.services import ServiceLocator
from apiserver.registry.adminaccess import CLAIMS, AdminAccessHooks
from apiserver.registry.claims.addresses import IP_ADDRESSES, AddressAllocator
from apiserver.registry.claims.metrics import ClaimMetrics
from apiserver.registry.claims.pools import port_pool
from apiserver.registry.claims.ports import PortAllocator
from apiserver.registry.claims.repair import Repair
from apiserver.registry.claims.services import ServiceHooks
from apiserver.registry.grants import GRANTING_KINDS, GrantHooks
from apiserver.registry.hooks import NO_HOOKS, CertificateHooks, Hooks, NamespaceHooks, VolumeHooks
from apiserver.registry.params import BINDINGS, POLICIES, ParamHooks
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.user import APISERVER
from apiserver.storage import CachedStorage, Storage
from apiserver.storage.interface import StorageError
from apiserver.storage.view import ViewConversion, ViewStorage
from apiserver.subresources._subresource import Subresource, Subresources
from componentbase import logs
from componentbase.clock import Clock
from componentbase.flags import version
from componentbase.health import Check
from kubeapi.apiextensions.customresourcedefinition import GROUP as DEFINITIONS
from kubeapi.certificates.certificatesigningrequest import GROUP as CERTIFICATES

BOOTSTRAP_RETRY_SECONDS = 1.0
KEEP_SECONDS = 10.0  # as upstream
WITHDRAW_SECONDS = 2.0
AUDIT_SECONDS = 3.0  # for each audit back end to write what is left

log = logs.logger(__name__)


async def run(options: Options) -> None:
    """Serves HTTPS until cancelled. Raises: FatalError for what the flags name and is not there."""
    tls_context = server_tls(options)
    server = ApiServer(options)
    address, port = options.bind_address, options.secure_port
    async with server.running():
        await http_server(server.pipeline, options.drain_seconds).run(
            address,
            port,
            tls_context,
            started=lambda: log.info("serving", address=address, port=port),
            leaving=server.leave,
            stopping=lambda: server.pipeline.end_long_running(options.shutdown_watch_grace_seconds),
        )


class ApiServer:
    """One API server but for the way its requests come in. Made in a running event loop."""

    def __init__(self, options: Options) -> None:
        """Raises: FatalError for what the flags name and is not there."""
        catalogue, clock = load_catalogue(), Clock()
        set_features(options)
        self.stopping = False
        self.bootstrapped = False
        self._storage_task: asyncio.Task[None] | None = None
        self.options = options
        self.storage = CachedStorage(etcd_config(options))
        ranges = options.service_cluster_ip_range
        addresses = self._address_allocators()
        ports = PortAllocator(self.storage, port_pool(options.service_node_ports), clock)
        rbac = Rbac(self.storage)
        authorizer = configured_authorizer(options, Sources(self.storage, rbac, clock, options.authorization_webhook))
        preferred = {(kind.group, kind.plural): kind for kind in reversed(list(catalogue))}
        locator = ServiceLocator(self.storage)
        lookup = Lookup(self.storage, preferred, authorizer, locator, catalogue)
        grants = GrantHooks(authorizer, rbac, self.storage)
        hooks = _hooks(ServiceHooks(addresses, ports), grants, lookup, clock)
        admission = Chain(admission_plugins(options), lookup)
        subresources = all_subresources(catalogue)
        self.stores = Stores(self._store(kind, admission, clock, hooks, subresources) for kind in catalogue)
        self._encryption = encryption_reloader(options, self.storage, catalogue)
        advertised = advertised_address(options)
        core = {kind.plural: kind for kind in catalogue if not kind.group}
        self._legacy_tokens = LegacyTokenUse(clock)
        tokens = ServiceAccountTokens(
            token_settings(options, advertised), self.storage, core, clock, self._legacy_tokens.note
        )
        authenticator = make_authenticator(options, tokens, self.storage, core["secrets"], clock)
        kubelet = kubelet_client(options, self.storage, core["nodes"])
        routes = Routes(
            Services(
                authenticator=authenticator,
                authorizer=authorizer,
                clock=clock,
                kubelet=kubelet,
                storage=self.storage,
                stores=self.stores,
                tokens=tokens,
            ),
            subresources,
            virtual_handlers(catalogue),
        )
        credentials = options.proxy_client_cert_file, options.proxy_client_key_file
        aggregator = Aggregator(locator, self.storage, credentials)
        foreign = ForeignVersions()
        self._availability = AvailabilityChecker(aggregator, foreign, self.stores, self.storage, clock, APISERVER)
        discovery = Discovery(catalogue, subresources, f"{options.bind_address}:{options.secure_port}", foreign)
        documents = Documents(catalogue, subresources, version(), foreign)
        flows = make_flow_control(options, catalogue, self.storage)
        self._limits = in_flight_limits(options, bounded=flows is None)
        metrics = RequestMetrics(self._limits)
        web = make_web(discovery, documents, metrics, self._checks())
        add_openid(web, tokens)
        self._flow_keeper: FlowControlKeeper | None = None
        if flows is not None:
            self._flow_keeper = FlowControlKeeper(flows, self.stores, self.storage, clock, APISERVER)
            metrics.add(FlowMetrics(flows))
            add_debug_routes(web, flows)
        metrics.add(lookup)
        metrics.add(ClaimMetrics(addresses.values(), ports))
        self._auditor = make_auditor(options.audit, clock)
        if self._auditor is not None:
            metrics.add(self._auditor)
        self.pipeline = Pipeline(
            authenticator, authorizer, routes, web, self._limits, metrics, flows, self._auditor, aggregator.route
        )
        self._repair = Repair(self.storage, self.stores, addresses, ports, clock)
        self._custom = CustomKinds(
            self.storage,
            KindPublisher(
                catalogue, subresources, self.stores, routes, preferred, admission, self.storage, locator, clock
            ),
        )
        self._definitions = DefinitionUpkeep(self._custom, self.stores, self.storage, clock, APISERVER)
        routes.settle = discovery.settle = documents.settle = self._custom.settle
        versions = self._custom.group_versions
        self._local_services = LocalServices(catalogue, versions, self.stores, self.storage, APISERVER)
        self._custom.listeners.append(self._local_services.changed)
        self._service_cidr = DefaultServiceCIDR(self.stores, ranges, clock)
        self._endpoints = EndpointReconciler(self.stores, self.storage, ranges, advertised, options.secure_port)
        _log_collected(self.stores, admission, subresources)

    def _address_allocators(self) -> dict[str, AddressAllocator]:
        """Makes one for each family that Services may have."""
        families = (f"IPv{network.version}" for network in self.options.service_cluster_ip_range)

        def addresses() -> Store[Any]:
            return self.stores.find(IP_ADDRESSES.plural, IP_ADDRESSES.group)  # known once there are stores

        return {family: AddressAllocator(family, self.storage, addresses) for family in families}

    def _store(
        self,
        resource: Resource[Any],
        admission: Chain,
        clock: Clock,
        hooks: Mapping[tuple[str, str], Hooks],
        subresources: Subresources,
    ) -> Store[Any]:
        storage: Storage = self.storage
        if resource.view is not None:
            storage = ViewStorage(storage, resource.view.of, ViewConversion(resource.view), resource.view.fields)
        elif resource.stored:
            self.storage.register(resource)
        ttl = self.options.event_ttl_seconds if resource.expires else 0
        own = hooks.get((resource.group, resource.plural), NO_HOOKS)
        changing_spec = (item.name for item in subresources.of(resource) if item.changes_spec)
        return Store(resource, storage, admission, clock, own, ttl, changing_spec)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the watch cache, the first objects and upkeep beside the block, which the death of any of them ends."""
        storage = self._storage_task = asyncio.create_task(self.storage.run())
        try:
            async with asyncio.TaskGroup() as group:
                upkeep = [
                    _end_with(storage),
                    self._limits.run(),
                    self._repair.run(),
                    self._bootstrap(),
                    self._custom.run(),
                    self._definitions.run(),
                    self._legacy_tokens.run(self.stores),
                    self._local_services.run(),
                    self._availability.run(),
                ]
                if self._encryption is not None and self.options.encryption_provider_config_automatic_reload:
                    upkeep.append(self._encryption.run())
                if self._flow_keeper is not None:
                    upkeep.append(self._flow_keeper.run())
                tasks = [group.create_task(work) for work in upkeep]
                yield
                for task in tasks:
                    task.cancel()
        finally:
            await self._withdraw()
            storage.cancel()
            await asyncio.wait({storage})
            if self._auditor is not None:
                await asyncio.to_thread(self._auditor.close, AUDIT_SECONDS)

    async def leave(self) -> None:
        """Lets clients and load balancers notice that this server goes, for as long as the flags say."""
        self.stopping = True
        await self._withdraw()
        log.info("serving for the last time", seconds=self.options.shutdown_delay_seconds)
        storage = self._storage_task  # nothing can be served once it has died
        if storage is not None and self.options.shutdown_delay_seconds > 0:
            await asyncio.wait({storage}, timeout=self.options.shutdown_delay_seconds)

    async def stop(self) -> None:
        """Ends what would otherwise last: every watch's client goes on elsewhere."""
        self.stopping = True
        await self.pipeline.end_long_running(0)

    async def _bootstrap(self) -> None:
        """Makes the first objects; then keeps this server among the endpoints of the `kubernetes` Service."""
        await self.storage.wait_loaded()
        while not self.bootstrapped:
            try:
                await create_namespaces(self.stores)
                await create_priority_classes(self.stores)
                await create_default_roles(self.stores)
                await publish_authentication(self.stores, self.options)
                await self._legacy_tokens.begin(self.stores)
                await self._local_services.begin()
                if self._flow_keeper is not None:
                    await self._flow_keeper.begin()
                await self._service_cidr.ensure()
                await self._repair.once()
                await self._endpoints.create_service()
                self.bootstrapped = True
            except (StorageError, StatusError) as error:
                log.warning("bootstrap failed", error=str(error))
                await asyncio.sleep(BOOTSTRAP_RETRY_SECONDS)
        log.info("ready")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._endpoints.run())
            group.create_task(self._keep_service())

    async def _keep_service(self) -> None:
        """Makes the `kubernetes` Service and its range again, should somebody delete them."""
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            try:
                await self._service_cidr.ensure()
                await self._endpoints.create_service()
            except (StorageError, StatusError) as error:
                log.warning("the kubernetes service was not looked after", error=str(error))

    async def _withdraw(self) -> None:
        if self.storage.ready:
            try:
                async with asyncio.timeout(WITHDRAW_SECONDS):
                    await self._endpoints.withdraw()
            except TimeoutError:
                log.warning("own address not withdrawn in time")

    def _checks(self) -> dict[str, dict[str, Check]]:
        """The checks of the probes: the cache follows etcd, and the first objects have been created."""
        live: dict[str, Check] = {"ping": lambda: ""}
        etcd: Check = lambda: "" if self.storage.ready else "the watch cache does not follow etcd"  # noqa: E731
        ready = live | {
            "etcd": etcd,
            "poststarthook/bootstrap": lambda: "" if self.bootstrapped else "not finished",
            "shutdown": lambda: "process is shutting down" if self.stopping else "",
        }
        return {"healthz": live | {"etcd": etcd}, "livez": live, "readyz": ready}


def _hooks(services: ServiceHooks, grants: GrantHooks, lookup: Lookup, clock: Clock) -> dict[tuple[str, str], Hooks]:
    """Returns the hooks of the kinds that have some, by group and plural."""
    return {
        ("", "namespaces"): NamespaceHooks(),
        ("", "services"): services,
        (CERTIFICATES, "certificatesigningrequests"): CertificateHooks(clock),
        (DEFINITIONS, "customresourcedefinitions"): DefinitionHooks(clock),
        ("", "persistentvolumes"): VolumeHooks(clock),
        **dict.fromkeys((*POLICIES, *BINDINGS), ParamHooks(lookup)),
        **dict.fromkeys(CLAIMS, AdminAccessHooks(lookup)),
        **dict.fromkeys(GRANTING_KINDS, grants),
    }


async def _end_with(storage: asyncio.Task[None]) -> None:
    """Storage outlives the group that this runs in, but a death of it ends the server."""
    await asyncio.shield(storage)


def _log_collected(stores: Stores, admission: Chain, subresources: Iterable[Subresource]) -> None:
    log.info("collected kinds", count=len(stores), names=",".join(sorted(store.resource.kind for store in stores)))
    log.info("collected admission plugins", names=",".join(plugin.name for plugin in admission.plugins))
    names = sorted(f"{subresource.resource}/{subresource.name}" for subresource in subresources)
    log.info("collected subresources", names=",".join(names))
