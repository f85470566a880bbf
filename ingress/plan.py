"""What the proxy has to do: Ingresses, Services, endpoints and Secrets -> routes, backends, certificates. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import re2

from ingress.annotations import Complaint, Settings, read
from ingress.secrets import SecretError, certificate_of, users_of
from kubeapi.core.secret.model import Secret
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeapi.networking.ingress import (
    CLASS_ANNOTATION,
    EXACT,
    IMPLEMENTATION_SPECIFIC,
    HTTPIngressPath,
    Ingress,
    IngressBackend,
)
from kubeapi.networking.ingressclass import IngressClass

CONTROLLER = "mini-kubernetes.io/ingress"
ANY_HOST = "-"
"""Stands for all hosts, in keys of routes: no host is called so."""
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_PLAIN = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~"
"""What may stand in a path as it is, beside letters and digits."""
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_REGEX = re.compile(r"/(\\[dDwWsSbB!-/:-@[-`{-~]|\((?!\?)|\(\?:|[!&*-\[\]-~#$%)])*")
"""What is an expression in the same sense to those who check it and to the proxy, beside what they all refuse."""
_GROUP = re.compile(r"\$(\d)")


@dataclass(frozen=True, slots=True)
class World:
    """What there is. The functions take "namespace/name", `slices` that of the Service."""

    ingresses: Iterable[Ingress]
    classes: Iterable[IngressClass]
    service: Callable[[str], Service | None]
    slices: Callable[[str], Iterable[EndpointSlice]]
    secret: Callable[[str], Secret | None]


@dataclass(frozen=True, slots=True)
class Backend:
    """Where requests go, and what happens to them before."""

    settings: Settings
    pattern: str = ""
    """A regular expression for paths, whose groups the target of rewriting names; "" where nothing is rewritten."""
    redirect_to_tls: bool = False
    users: tuple[tuple[str, str], ...] = ()
    """Names and hashes of passwords."""
    servers: frozenset[tuple[str, int]] = frozenset()
    """Addresses and ports of ready endpoints."""


@dataclass(slots=True)
class Plan:
    """What the proxy has to do. Keys of routes are the host, `ANY_HOST` or "*.domain", and the path."""

    hosts: set[str] = field(default_factory=set)
    exact: dict[str, str] = field(default_factory=dict)
    """Key -> name of the backend."""
    prefix: dict[str, str] = field(default_factory=dict)
    """The same; each path ends with /."""
    regex: dict[str, str] = field(default_factory=dict)
    """The same, by regular expressions for all of the key."""
    fallback: dict[str, str] = field(default_factory=dict)
    """Host -> name of the backend where no path matches."""
    backends: dict[str, Backend] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)
    """Host -> PEM of certificate and key."""
    served: dict[str, Ingress] = field(default_factory=dict)
    """The Ingresses of our classes, by key."""
    complaints: dict[str, list[Complaint]] = field(default_factory=dict)
    """Key of an Ingress -> what is not served of it."""
    looked_at: set[tuple[type, str]] = field(default_factory=set)
    """The Services and Secrets on which all this depends, whether they are there or not."""


def make_plan(world: World) -> Plan:
    """Where two Ingresses have the same rule, that of the older one counts."""
    classes = {item.name for item in world.classes if item.spec.controller == CONTROLLER}
    mine = [item for item in world.ingresses if class_of(item) in classes and not item.metadata.deletionTimestamp]
    mine.sort(key=lambda item: (item.metadata.creationTimestamp or "", item.key))
    planner = _Planner(world)
    for ingress in mine:
        planner.plan.served[ingress.key] = ingress
        planner.add_certificates(ingress)
    for ingress in mine:
        planner.add_routes(ingress)
    plan = planner.plan
    # The longest expression first: it is the most particular, as a rule.
    plan.regex = dict(sorted(plan.regex.items(), key=lambda item: -len(item[0])))
    return plan


def class_of(ingress: Ingress) -> str | None:
    return ingress.spec.ingressClassName or ingress.annotations.get(CLASS_ANNOTATION)


class _Planner:
    def __init__(self, world: World) -> None:
        self._world = world
        self.plan = Plan()

    def add_certificates(self, ingress: Ingress) -> None:
        for tls in ingress.spec.tls or ():
            hosts = tls.hosts or [rule.host for rule in ingress.spec.rules or () if rule.host]
            if not tls.secretName:
                continue  # served with the proxy's own certificate
            try:
                pem = certificate_of(self._secret(f"{ingress.namespace}/{tls.secretName}"))
            except SecretError as error:
                self._complain(ingress, "InvalidCertificate", f"Secret {tls.secretName}: {error}")
                continue
            for host in hosts:
                if _HOST.fullmatch(host):
                    self.plan.certificates.setdefault(host, pem)

    def add_routes(self, ingress: Ingress) -> None:
        spec = ingress.spec
        settings, complaints = read(ingress.annotations)
        for complaint in complaints:
            self._complain(ingress, complaint.reason, complaint.message)
        with_tls = {host for tls in spec.tls or () for host in tls.hosts or ()}
        if any(not tls.hosts for tls in spec.tls or ()):
            with_tls |= {rule.host for rule in spec.rules or () if rule.host}
        hosts = []
        for rule in spec.rules or ():
            host = rule.host or ANY_HOST
            if rule.host and not _HOST.fullmatch(rule.host):
                self._complain(ingress, "InvalidHost", f"host {rule.host!r} can't be served")
                continue
            hosts.append(host)
            self.plan.hosts.add(host)
            redirect = settings.force_ssl_redirect or (settings.ssl_redirect and host in with_tls)
            for item in rule.http.paths if rule.http is not None else ():
                self._add_path(ingress, settings, host, item, redirect)
        if spec.defaultBackend is not None:
            name = self._backend(ingress, settings, spec.defaultBackend, "", settings.force_ssl_redirect)
            for host in hosts or [ANY_HOST]:
                self.plan.fallback.setdefault(host, name)

    def _add_path(self, ingress: Ingress, settings: Settings, host: str, item: HTTPIngressPath, redirect: bool) -> None:
        path = item.path or "/"
        is_regex = item.pathType == IMPLEMENTATION_SPECIFIC and (
            settings.use_regex or _GROUP.search(settings.rewrite_target) is not None
        )
        pattern = ""
        if is_regex:
            pattern = path.removeprefix("^")
            if problem := _wrong_regex(pattern):
                self._complain(ingress, "InvalidPath", f"path {path!r} {problem}")
                return
        elif settings.rewrite_target:
            pattern = re.escape(_shown(path)).replace("'", ".")
        if problem := _wrong_groups(pattern, settings.rewrite_target):
            self._complain(ingress, "InvalidAnnotation", problem)
            return
        if is_regex:
            routes, key = self.plan.regex, f"(?i)^{re.escape(host)}(?:{pattern})"
        elif item.pathType == EXACT:
            routes, key = self.plan.exact, host + _shown(path)
        else:
            routes, key = self.plan.prefix, host + _shown(path).rstrip("/") + "/"
        if key in routes:
            shown = "" if host == ANY_HOST else host
            message = f"{shown}{path} ({item.pathType}) is served by another rule, which is older"
            self._complain(ingress, "PathConflict", message)
            return
        routes[key] = self._backend(
            ingress, settings, item.backend, pattern if settings.rewrite_target else "", redirect
        )

    def _backend(
        self, ingress: Ingress, settings: Settings, wanted: IngressBackend, pattern: str, redirect: bool
    ) -> str:
        """Returns the name of the backend, which says all that it depends on but its servers."""
        users: tuple[tuple[str, str], ...] = ()
        if settings.auth is not None:
            try:
                secret = self._secret(f"{ingress.namespace}/{settings.auth.secret}")
                users, complaints = users_of(secret, by_key=settings.auth.by_key)
                for message in complaints:
                    self._complain(ingress, "InvalidAuthSecret", f"Secret {settings.auth.secret}: {message}")
            except SecretError as error:
                self._complain(ingress, "InvalidAuthSecret", f"Secret {settings.auth.secret}: {error}")
        if wanted.service is None:
            what = wanted.resource.kind if wanted.resource is not None else "resource"
            message = f"a backend of kind {what} is not served: only Services are"
            self._complain(ingress, "ResourceBackendNotServed", message)
            target, servers = "none", frozenset[tuple[str, int]]()
        else:
            port = wanted.service.port
            target = f"{ingress.namespace}_{wanted.service.name}_{port.name or port.number}"
            key = f"{ingress.namespace}/{wanted.service.name}"
            servers = self._servers(ingress, key, port.name or port.number or 0)
        shape = repr((settings, pattern, redirect, users))
        name = f"{target}_{hashlib.sha256(shape.encode()).hexdigest()[:10]}"
        self.plan.backends[name] = Backend(settings, pattern, redirect, users, servers)
        return name

    def _servers(self, ingress: Ingress, key: str, wanted: str | int) -> frozenset[tuple[str, int]]:
        self.plan.looked_at.add((Service, key))
        service = self._world.service(key)
        if service is None:
            self._complain(ingress, "ServiceNotFound", f"Service {key} does not exist")
            return frozenset()
        if service.spec.type == "ExternalName":
            self._complain(ingress, "ServiceNotServed", f"Service {key} is of type ExternalName, which is not served")
            return frozenset()
        names = {item.name or "" for item in service.spec.ports or () if wanted in (item.name, item.port)}
        if not names:
            self._complain(ingress, "ServiceNotFound", f"Service {key} has no port {wanted}")
            return frozenset()
        slices = list(self._world.slices(key))
        # A pod that has addresses of both families would count twice.
        families = {item.addressType for item in slices if any(_ready(item, names))}
        family = next((item for item in service.spec.ipFamilies or () if item in families), "IPv4")
        return frozenset(server for item in slices if item.addressType == family for server in _ready(item, names))

    def _secret(self, key: str) -> Secret | None:
        self.plan.looked_at.add((Secret, key))
        return self._world.secret(key)

    def _complain(self, ingress: Ingress, reason: str, message: str) -> None:
        complaints = self.plan.complaints.setdefault(ingress.key, [])
        complaint = Complaint(reason, message)
        if complaint not in complaints:
            complaints.append(complaint)


def _ready(item: EndpointSlice, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    for port in item.ports:
        if (port.name or "") in names and port.port:
            for endpoint in item.endpoints:
                if endpoint.conditions.ready is not False:
                    yield endpoint.addresses[0], port.port


def _shown(path: str) -> str:
    """Returns a path as requests have it: what can't stand in one is escaped."""
    return _ESCAPE.sub(lambda match: match[0].upper(), quote(path, safe=_PLAIN))


def _wrong_regex(pattern: str) -> str:
    """Tells what is wrong with a path as a regular expression; "" if nothing is."""
    if not _REGEX.fullmatch(pattern):
        return "has a character or an escape that is not served in expressions"
    try:
        re2.compile(pattern)
    except re2.error as error:
        return f"is not a regular expression: {error}"
    return ""


def _wrong_groups(pattern: str, target: str) -> str:
    """Tells whether the target of rewriting names a group that the pattern has not."""
    most = max((int(number) for number in _GROUP.findall(target)), default=0)
    if most and (not pattern or re2.compile(pattern).groups < most):
        return f"the target of rewriting names ${most}, but a path has no such group"
    return ""


def merge_complaints(plan: Plan, before: Mapping[str, list[Complaint]]) -> Iterator[tuple[Ingress, Complaint]]:
    """Yields the complaints that are new since the plan before."""
    for key, complaints in plan.complaints.items():
        for complaint in complaints:
            if complaint not in before.get(key, ()):
                yield plan.served[key], complaint
