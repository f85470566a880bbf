"""The proxy's files: a plan -> HAProxy's configuration, its maps and its certificates. Pure.

Hosts, paths and servers are what changes most, so they are in maps and in lines that a running proxy can be told of.
All else is the shape: another one has the proxy start new workers, while the old ones serve what they have begun.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ingress import apr1
from ingress.annotations import Affinity
from ingress.plan import ANY_HOST, Backend, Plan

CONFIGURATION, CERTIFICATE_LIST = "haproxy.cfg", "certificates.list"
HOSTS, EXACT, REGEX, PREFIX, FALLBACK = "hosts.map", "exact.map", "regex.map", "prefix.map", "fallback.map"
RUNTIME_SOCKET = "runtime.sock"
OLD_WORKER_SECONDS = 3600
"""For long requests and WebSockets of workers that have been replaced."""
_SERVER_OPTIONS = {
    "HTTP": "",
    "HTTPS": " ssl verify none",
    "GRPC": " proto h2",
    "GRPCS": " ssl verify none alpn h2",
}
_HEAD = """\
global
  log stderr format raw daemon notice
  stats socket {folder}/{socket} mode 600 level admin expose-fd listeners
  hard-stop-after {old_worker_seconds}s
  ssl-default-bind-options ssl-min-ver TLSv1.2
  expose-experimental-directives
{user}{lua}
defaults
  mode http
  balance roundrobin
  retries 3
  retry-on conn-failure
  option redispatch 1
  option dontlognull
  option idle-close-on-response
  timeout connect 5s
  timeout http-request 60s
  timeout http-keep-alive 75s
  timeout queue 30s
  timeout client 10m
  timeout client-fin 30s
  timeout server 60s
  timeout tunnel 1h

frontend requests
{binds}
  http-request set-var(txn.original) pathq
  http-request normalize-uri percent-decode-unreserved
  http-request normalize-uri percent-to-uppercase
  http-request normalize-uri path-strip-dot
  http-request normalize-uri path-strip-dotdot full
  http-request normalize-uri path-merge-slashes
  http-request set-var(txn.path) path
  http-request set-pathq %[var(txn.original)] if {{ var(txn.original) -m beg / }}
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  http-request set-var(txn.host) req.hdr(host),host_only,lower
  http-request set-var(txn.site) var(txn.host),map_str({folder}/{hosts})
  http-request set-var(txn.domain) var(txn.host),regsub(^[^.]*,)
  http-request set-var(txn.site) var(txn.domain),map_str({folder}/{hosts}) if !{{ var(txn.site) -m found }}
  http-request set-var(txn.site) str({any_host}) if !{{ var(txn.site) -m found }}
  http-request set-var(txn.key) var(txn.site),concat(,txn.path)
  http-request set-var(txn.to) var(txn.key),map_str({folder}/{exact})
  http-request set-var(txn.to) var(txn.key),map_reg({folder}/{regex}) if !{{ var(txn.to) -m found }}
  http-request set-var(txn.to) var(txn.key),concat(/),map_beg({folder}/{prefix}) if !{{ var(txn.to) -m found }}
  http-request set-var(txn.to) var(txn.site),map_str({folder}/{fallback}) if !{{ var(txn.to) -m found }}
  http-request set-var(txn.to) str({any_host}),map_str({folder}/{fallback}) if !{{ var(txn.to) -m found }}
  http-request return status 404 content-type text/plain string 'default backend - 404' if !{{ var(txn.to) -m found }}
  use_backend %[var(txn.to)]
"""


@dataclass(frozen=True)
class Place:
    """Where the proxy runs."""

    folder: str
    """That of its files."""
    addresses: tuple[str, ...]
    http_port: int
    https_port: int
    own_certificate: str
    """PEM of certificate and key, for hosts that have none."""
    user: str = ""
    """As whom its workers run; "" for as whom they are started."""


@dataclass(frozen=True)
class Rendered:
    """All that the proxy reads when it starts, and the parts of it that it can be told of later."""

    files: Mapping[str, str]
    """Name -> text."""
    shape: str = ""
    """Differs where the proxy has to start new workers."""
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    servers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Backend -> name of a server -> its address and options."""


def render(plan: Plan, place: Place) -> Rendered:
    maps = {
        HOSTS: {host.removeprefix("*") if host.startswith("*") else host: host for host in sorted(plan.hosts)},
        EXACT: plan.exact,
        PREFIX: plan.prefix,
        FALLBACK: plan.fallback,
    }
    maps[HOSTS].pop(ANY_HOST, None)
    servers = {name: _servers(backend) for name, backend in sorted(plan.backends.items())}
    files = {f"certificates/{_digest(pem)}.pem": pem for pem in (place.own_certificate, *plan.certificates.values())}
    files[CERTIFICATE_LIST] = "\n".join(_certificate_list(plan, place)) + "\n"
    files[REGEX] = _map_text(plan.regex)
    apache = {
        f"{name}/{user}": hashed
        for name, backend in sorted(plan.backends.items()) for user, hashed in backend.users if _is_apache(hashed)
    }  # fmt: skip
    if apache:
        files |= {apr1.PROGRAM: apr1.program(place.folder), apr1.MAP: _map_text(apache)}
    sections = [
        _head(place, f"  lua-load {place.folder}/{apr1.PROGRAM}\n" if apache else ""),
        *(_users(name, each) for name, each in sorted(plan.backends.items()) if each.settings.auth),
    ]
    tls_port = "" if place.https_port == 443 else f":{place.https_port}"
    whole, told = list(sections), list(sections)
    for name, backend in sorted(plan.backends.items()):
        text = _backend(name, backend, tls_port)
        lines = "".join(f"  server {server} {rest}\n" for server, rest in servers[name].items())
        whole.append(text + lines)
        # A proxy that is told of a server gives it no cookie.
        told.append(text + lines if backend.settings.affinity else text)
    shape = _digest(repr((told, sorted(files.items()))))
    files[CONFIGURATION] = "\n".join(whole)
    files |= {name: _map_text(entries) for name, entries in maps.items()}
    live = {name: each for name, each in servers.items() if not plan.backends[name].settings.affinity}
    return Rendered(files, shape, maps, live)


def _head(place: Place, lua: str) -> str:
    binds = []
    for address in place.addresses:
        where = f"[{address}]" if ":" in address else address
        binds.append(f"  bind {where}:{place.http_port}")
        if place.https_port:
            crt_list = f"{place.folder}/{CERTIFICATE_LIST}"
            binds.append(f"  bind {where}:{place.https_port} ssl crt-list {crt_list} alpn h2,http/1.1")
    return _HEAD.format(
        folder=place.folder, socket=RUNTIME_SOCKET, old_worker_seconds=OLD_WORKER_SECONDS, binds="\n".join(binds),
        user=f"  user {place.user}\n  group {place.user}\n" if place.user else "", lua=lua, any_host=ANY_HOST,
        hosts=HOSTS, exact=EXACT, regex=REGEX, prefix=PREFIX, fallback=FALLBACK,
    )  # fmt: skip


def _certificate_list(plan: Plan, place: Place) -> Iterator[str]:
    """The first one is for hosts that have none."""
    yield f"{place.folder}/certificates/{_digest(place.own_certificate)}.pem"
    for host, pem in sorted(plan.certificates.items()):
        yield f"{place.folder}/certificates/{_digest(pem)}.pem {host}"


def _users(name: str, backend: Backend) -> str:
    lines = [f"  user {user} password '{hashed}'" for user, hashed in backend.users if not _is_apache(hashed)]
    return "\n".join([f"userlist {name}", *lines, ""])


def _is_apache(hashed: str) -> bool:
    return hashed.startswith(apr1.PREFIX)


def _backend(name: str, backend: Backend, tls_port: str) -> str:
    return "\n".join([f"backend {name}", *(f"  {line}" for line in _rules(name, backend, tls_port)), ""])


def _rules(name: str, backend: Backend, tls_port: str) -> Iterator[str]:
    settings = backend.settings
    if settings.closed:
        yield "http-request deny deny_status 503"
        return
    if settings.sources:
        yield f"http-request deny deny_status 403 unless {{ src {' '.join(settings.sources)} }}"
    if backend.redirect_to_tls:
        url = f"https://%[req.hdr(host),host_only]{tls_port}%[var(txn.original)]"
        yield f"http-request redirect location {url} code 308 unless {{ ssl_fc }}"
    if settings.auth is not None:
        realm = f" realm '{settings.auth.realm}'" if settings.auth.realm else ""
        apache = f" or {{ lua.apr1({name}) -m bool }}" if any(_is_apache(hashed) for _, hashed in backend.users) else ""
        yield f"http-request auth{realm} unless {{ http_auth({name}) }}{apache}"
    if settings.most_body_bytes:
        yield f"http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {settings.most_body_bytes} }}"
        # A body of unknown length can't be cut off at a limit, so it has to tell its length.
        length = "Length Required"
        unknown = "{ req.hdr(transfer-encoding) -m found }"
        yield f"http-request return status 411 content-type text/plain string '{length}' if {unknown}"
    if backend.pattern:
        target = settings.rewrite_target.replace("$", "\\")
        yield "http-request set-path %[var(txn.path)]"
        yield f"http-request replace-path '(?i)^(?:{backend.pattern}).*' '{target}'"
    if settings.affinity is not None:
        yield f"dynamic-cookie-key {name}"
        yield _cookie(settings.affinity)
    if settings.connect_seconds:
        yield f"timeout connect {settings.connect_seconds}s"
    if settings.idle_seconds:
        yield f"timeout server {settings.idle_seconds}s"
        yield f"timeout tunnel {settings.idle_seconds}s"


def _cookie(affinity: Affinity) -> str:
    words = [f"cookie {affinity.cookie} insert indirect nocache httponly dynamic"]
    if affinity.secure:
        words.append("secure")
    if affinity.same_site:
        words.append(f"attr SameSite={affinity.same_site}")
    if affinity.max_age_seconds:
        words.append(f"attr Max-Age={affinity.max_age_seconds}")
    return " ".join(words)


def _servers(backend: Backend) -> dict[str, str]:
    options = _SERVER_OPTIONS[backend.settings.protocol]
    return {
        f"{address}:{port}": (f"[{address}]:{port}" if ":" in address else f"{address}:{port}") + options
        for address, port in sorted(backend.servers)
    }


def _map_text(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries.items())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
