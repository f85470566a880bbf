"""PURE: what each directive means: one function for each, by its name. What is not served is an error that says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from apimachinery.text.durations import parse_duration
from clusterdns.corefile.options import (
    DEFAULT_PORT,
    CacheOptions,
    CachePart,
    Config,
    Fallthrough,
    ForwardOptions,
    HostsOptions,
    KubernetesOptions,
    PodMode,
    RewriteRule,
    ServerBlock,
)
from clusterdns.corefile.syntax import Block, CorefileError, Directive, Line, parse_blocks
from clusterdns.message import Name, parse_name

POLICIES = ("random", "round_robin", "sequential")
MAX_TTL = 3600

_Understand = Callable[[Directive, ServerBlock], ServerBlock]
_DIRECTIVES: dict[str, _Understand] = {}


def parse_corefile(text: str) -> Config:
    """Raises: CorefileError."""
    blocks = tuple(_block(block) for block in parse_blocks(text))
    zones = [zone for block in blocks for zone in block.zones]
    for zone in zones:
        if zones.count(zone) > 1:
            raise CorefileError(1, f"two server blocks have the zone {'.'.join(zone) or '.'}")
    if not any(block.kubernetes for block in blocks):
        raise CorefileError(1, "no server block has the directive kubernetes, so nothing in the cluster has a name")
    return Config(blocks)


def _block(block: Block) -> ServerBlock:
    served = ServerBlock(tuple(zone for key in block.keys.words for zone in _key_zones(block.keys, key.rstrip(","))))
    for directive in block.directives:
        understand = _DIRECTIVES.get(directive.name)
        if understand is None:
            raise CorefileError(directive.head.number, f"the directive `{directive.name}` is not served here")
        if directive.name in served.served and directive.name not in ("forward", "rewrite"):
            raise directive.error("is there twice")
        served = replace(understand(directive, served), served=served.served | {directive.name})
    return served


def _key_zones(line: Line, key: str) -> tuple[Name, ...]:
    """Reads ".:53", "example.org" or "dns://10.0.0.0/24"."""
    scheme, _, rest = key.rpartition("://")
    zone, _, port = rest.partition(":") if "/" not in rest else (rest, "", "")
    if scheme not in ("", "dns") or (port and port != str(DEFAULT_PORT)):
        raise CorefileError(line.number, f"`{key}`: only plain DNS on port {DEFAULT_PORT} is served")
    if "/" in zone:
        raise CorefileError(line.number, f"`{key}`: write reverse zones as names, such as 1.168.192.in-addr.arpa")
    return (parse_name(zone),)


def _directive(name: str) -> Callable[[_Understand], _Understand]:
    def add(understand: _Understand) -> _Understand:
        _DIRECTIVES[name] = understand
        return understand

    return add


def _accepted(directive: Directive, block: ServerBlock) -> ServerBlock:
    """Takes a directive that there is nothing to say about but that it is there."""
    return block


for _name in ("errors", "health", "ready", "prometheus", "reload", "log", "loadbalance", "loop"):
    _DIRECTIVES[_name] = _accepted


@_directive("kubernetes")
def _kubernetes(directive: Directive, block: ServerBlock) -> ServerBlock:
    zones = tuple(map(parse_name, directive.arguments)) or block.zones
    options = KubernetesOptions(zones)
    for line in directive.body:
        match line.words:
            case ("pods", mode) if mode in {item.value for item in PodMode}:
                options = replace(options, pods=PodMode(mode))
            case ("ttl", seconds):
                options = replace(options, ttl=_number(directive, line, seconds, MAX_TTL))
            case ("endpoint_pod_names",):
                options = replace(options, endpoint_pod_names=True)
            case ("fallthrough", *names):
                options = replace(options, fallthrough=_fallthrough(names))
            case _:
                raise _unserved(directive, line)
    return replace(block, kubernetes=options)


@_directive("hosts")
def _hosts(directive: Directive, block: ServerBlock) -> ServerBlock:
    if directive.arguments:
        raise directive.error("files are not served, as each node has its own; write the entries into the block")
    addresses: dict[Name, tuple[str, ...]] = {}
    names: dict[str, tuple[Name, ...]] = {}
    ttl, reverse, fallthrough = HostsOptions.ttl, True, Fallthrough()
    for line in directive.body:
        match line.words:
            case ("ttl", seconds):
                ttl = _number(directive, line, seconds, 65535)
            case ("no_reverse",):
                reverse = False
            case ("fallthrough", *zones):
                fallthrough = _fallthrough(zones)
            case (address, *hosts) if hosts and _is_address(address):
                parsed = str(ip_address(address))
                entries = tuple(map(parse_name, hosts))
                names[parsed] = names.get(parsed, ()) + entries
                addresses |= {name: (*addresses.get(name, ()), parsed) for name in entries}
            case _:
                raise _unserved(directive, line)
    return replace(block, hosts=HostsOptions(addresses, names if reverse else {}, ttl, fallthrough))


@_directive("rewrite")
def _rewrite(directive: Directive, block: ServerBlock) -> ServerBlock:
    words = list(directive.arguments)
    stop = words.pop(0) == "stop" if words[:1] in (["stop"], ["continue"]) else True
    if directive.body or words[:1] != ["name"]:
        raise directive.error("only `rewrite [continue|stop] name [KIND] FROM TO` is served")
    kinds = ("exact", "prefix", "suffix", "substring", "regex")
    kind = words.pop(1) if words[1:2] and words[1] in kinds else "exact"
    if len(words) == 5 and words[3:] == ["answer", "auto"]:
        words = words[:3]  # which is always so
    if len(words) != 3:
        raise directive.error("only `rewrite [continue|stop] name [KIND] FROM TO [answer auto]` is served")
    before, after = words[1].lower(), words[2].lower()
    try:
        pattern = re.compile(before) if kind == "regex" else None
    except re.error as error:
        raise directive.error(f"{before}: {error}") from None
    if kind in ("exact", "suffix"):
        before, after = before.rstrip("."), after.rstrip(".")
    return replace(block, rewrites=(*block.rewrites, RewriteRule(kind, before, after, pattern, stop)))


@_directive("forward")
def _forward(directive: Directive, block: ServerBlock) -> ServerBlock:
    if len(directive.arguments) < 2:
        raise directive.error("write the zone, and the resolvers: forward . /etc/resolv.conf")
    zone, *targets = directive.arguments
    files = tuple(target for target in targets if target.startswith("/"))
    to = tuple(_resolver(directive, target) for target in targets if target not in files)
    options = ForwardOptions(parse_name(zone), to, files)
    for line in directive.body:
        match line.words:
            case ("except", *names) if names:
                options = replace(options, excluded=options.excluded + tuple(map(parse_name, names)))
            case ("policy", policy) if policy in POLICIES:
                options = replace(options, policy=policy)
            case ("max_fails", count):
                options = replace(options, max_fails=_number(directive, line, count, 1000))
            case ("max_concurrent", count):
                options = replace(options, max_concurrent=_number(directive, line, count, 65535) or 65535)
            case ("force_tcp",):
                options = replace(options, force_tcp=True)
            case ("prefer_udp",):
                pass  # as is done without it
            case _:
                raise _unserved(directive, line)
    return replace(block, forwards=(*block.forwards, options))


def _resolver(directive: Directive, target: str) -> str:
    """Returns "ADDRESS#PORT" of "8.8.8.8", "8.8.8.8:53", "[::1]:53" or "dns://8.8.8.8"."""
    scheme, _, rest = target.rpartition("://")
    host, port = rest, str(DEFAULT_PORT)
    if rest.startswith("[") or rest.count(":") == 1:
        host, _, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", port)
    host = host.strip("[]")
    if scheme not in ("", "dns") or not _is_address(host) or not port.isdigit():
        raise directive.error(f"`{target}` is not the address of a resolver that speaks plain DNS")
    return f"{ip_address(host)}#{port}"


@_directive("cache")
def _cache(directive: Directive, block: ServerBlock) -> ServerBlock:
    options, zones = CacheOptions(), list(directive.arguments)
    if zones and zones[0].isdigit():
        most = _number(directive, directive.head, zones.pop(0), 1_000_000)
        options = CacheOptions(
            success=replace(options.success, most_seconds=most), denial=replace(options.denial, most_seconds=most)
        )
    options = replace(options, zones=tuple(map(parse_name, zones)) or block.zones)
    for line in directive.body:
        match line.words:
            case ("success", *numbers) if 1 <= len(numbers) <= 3:
                options = replace(options, success=_sized(directive, line, options.success, numbers))
            case ("denial", *numbers) if 1 <= len(numbers) <= 3:
                options = replace(options, denial=_sized(directive, line, options.denial, numbers))
            case ("disable", "success", *names):
                success = replace(options.success, disabled=tuple(map(parse_name, names)) or options.zones)
                options = replace(options, success=success)
            case ("disable", "denial", *names):
                denial = replace(options.denial, disabled=tuple(map(parse_name, names)) or options.zones)
                options = replace(options, denial=denial)
            case ("servfail", duration):
                options = replace(options, servfail_seconds=_duration(directive, line, duration))
            case _:
                raise _unserved(directive, line)
    return replace(block, cache=options)


def _sized(directive: Directive, line: Line, part: CachePart, numbers: Sequence[str]) -> CachePart:
    """Reads "CAPACITY [MOST SECONDS [LEAST SECONDS]]"."""
    values = [_number(directive, line, number, 1_000_000) for number in numbers]
    most = values[1] if len(values) > 1 else part.most_seconds
    return replace(part, capacity=values[0], most_seconds=most, least_seconds=(values[2:] or [part.least_seconds])[0])


def _unserved(directive: Directive, line: Line) -> CorefileError:
    return directive.error(f"`{' '.join(line.words)}` is not served here", line)


def _fallthrough(zones: list[str]) -> Fallthrough:
    return Fallthrough(tuple(map(parse_name, zones)) or ((),))


def _number(directive: Directive, line: Line, text: str, most: int) -> int:
    if not text.isdigit() or int(text) > most:
        raise directive.error(f"`{text}` is not a number from 0 to {most}", line)
    return int(text)


def _duration(directive: Directive, line: Line, text: str) -> int:
    try:
        return int(parse_duration(text))
    except ValueError as error:
        raise directive.error(str(error), line) from None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
