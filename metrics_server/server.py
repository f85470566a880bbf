"""A running metrics server, put together from the parts of the API server."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from apimachinery.catalogue import load_catalogue
from apimachinery.resource import Resource
from apiserver.auth.authentication.authenticator import Authenticator
from apiserver.auth.authentication.webhook import WebhookTokens
from apiserver.auth.authorization.webhook import Webhook, WebhookSettings
from apiserver.discovery.discovery import Discovery
from apiserver.discovery.foreign import ForeignVersions
from apiserver.discovery.openapi.serving import Documents
from apiserver.http.server import http_server
from apiserver.main.authentication import front_proxy
from apiserver.main.collected import virtual_handlers
from apiserver.main.web import make_web
from apiserver.pipeline.inflight import InFlight
from apiserver.pipeline.metrics import RequestMetrics
from apiserver.pipeline.pipeline import Pipeline
from apiserver.pipeline.routes import Routes
from apiserver.proxy.kubelet import Kubelets
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.subresources._subresource import Subresources
from componentbase import logs, tls
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from componentbase.flags import version
from componentbase.health import Check
from kubeclient.access.config import ClientConfig, ConfigError, load_config
from kubeclient.rest import RestClient, user_agent
from metrics_server.cluster import Cluster
from metrics_server.kinds_of_api import KindsOfApi
from metrics_server.kubelets import UsageCollector
from metrics_server.options import Options
from metrics_server.scraper import PodScraper

NAME = "metrics-server"
REVIEW_SECONDS = 10.0  # for which the API server's answers about users are good, as upstream
MAX_READS, ANSWER_SECONDS, DRAIN_SECONDS = 400, 60.0, 5.0

log = logs.logger(__name__)


@dataclass(frozen=True)
class Services:
    """The services that a handler may name."""

    clock: Clock
    cluster: Cluster
    kinds: KindsOfApi
    scraper: PodScraper
    stores: Stores
    usage: UsageCollector


class Unstored(Store[Any]):
    """The registry of a kind that is measured when somebody asks: it has a name and no objects."""

    def __init__(self, resource: Resource[Any]) -> None:
        self.resource = resource


async def run(options: Options) -> None:
    """Serves HTTPS until cancelled. Raises: FatalError for what the flags name and is not there."""
    serving = options.serving
    with _fatal_errors(), _server_tls(options) as context:
        config = load_config(options.kubeconfig or None)
        rest = RestClient(config, user_agent=user_agent(NAME))
        cluster = Cluster(rest)
        pipeline = _pipeline(options, config, rest, cluster)
    async with rest, asyncio.TaskGroup() as tasks:
        tasks.create_task(cluster.run())
        await http_server(pipeline, DRAIN_SECONDS).run(
            serving.bind_address,
            serving.port,
            context,
            started=lambda: log.info("serving", address=serving.bind_address, port=serving.port),
        )


def _pipeline(options: Options, config: ClientConfig, rest: RestClient, cluster: Cluster) -> Pipeline:
    """Raises: OSError, ConfigError."""
    clock, catalogue, subresources = Clock(), load_catalogue("metrics_server.kinds"), Subresources([])
    stores = Stores(map(Unstored, catalogue))
    kubelet_tls = _kubelet_tls(options, config)
    usage = UsageCollector(Kubelets(lambda: kubelet_tls), cluster.kubelet, clock)
    services = Services(clock, cluster, KindsOfApi(rest, clock), PodScraper(clock), stores, usage)
    routes = Routes(services, subresources, virtual_handlers(catalogue, "metrics_server.handlers"))
    foreign = ForeignVersions()  # nobody serves anything behind this server
    discovery = Discovery(catalogue, subresources, f"{options.serving.bind_address}:{options.serving.port}", foreign)
    documents = Documents(catalogue, subresources, version(), foreign)
    limits = InFlight(MAX_READS, MAX_READS, ANSWER_SECONDS)
    metrics = RequestMetrics(limits)
    live: dict[str, Check] = {"ping": lambda: ""}
    ready = live | {"informer-sync": lambda: "" if cluster.synced else "nodes and pods are not known yet"}
    web = make_web(discovery, documents, metrics, {"healthz": live, "livez": live, "readyz": ready})
    authenticator = Authenticator(
        {},
        sources=[
            WebhookTokens(_asking(config, "authentication.k8s.io", "tokenreviews"), "v1", REVIEW_SECONDS, clock, [])
        ],
        front_proxy=front_proxy(options.request_header, options.serving.client_ca_file),
    )
    reviews = _asking(config, "authorization.k8s.io", "subjectaccessreviews")
    authorizer = Webhook(WebhookSettings("", "v1", REVIEW_SECONDS, REVIEW_SECONDS), clock, reviews)
    return Pipeline(authenticator, authorizer, routes, web, limits, metrics)


def _asking(config: ClientConfig, group: str, plural: str) -> ClientConfig:
    """Returns the way to the API server's answers to one kind of questions."""
    return replace(config, server=f"{config.server.rstrip('/')}/apis/{group}/v1/{plural}")


@contextmanager
def _fatal_errors() -> Iterator[None]:
    """Raises: FatalError for a file that can't be used."""
    try:
        yield
    except (ConfigError, OSError) as error:  # a bad certificate too: ssl.SSLError is one
        raise FatalError(str(error)) from None


@contextmanager
def _server_tls(options: Options) -> Iterator[ssl.SSLContext]:
    """Without a certificate in the flags, one is made."""
    serving = options.serving
    cert, key = serving.cert_file, serving.key_file
    with tempfile.TemporaryDirectory(prefix=NAME) as folder:
        if not cert:
            cert, key = tls.self_signed(serving.cert_dir or folder, NAME)
        yield tls.server_context(cert, key, serving.client_ca_file, options.request_header.client_ca_file)


def _kubelet_tls(options: Options, config: ClientConfig) -> ssl.SSLContext:
    authority, certificate = options.kubelet_certificate_authority, options.kubelet_client_certificate
    own = bool(certificate)
    return tls.client_context(
        ca_file=authority or config.ca_file,
        ca_data="" if authority else config.ca_data,
        cert_file=certificate or config.cert_file,
        key_file=options.kubelet_client_key if own else config.key_file,
        cert_data="" if own else config.cert_data,
        key_data="" if own else config.key_data,
        insecure=config.insecure and not authority,
    )
