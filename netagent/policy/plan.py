"""Decides, without I/O, which packet rules a node needs for the policies of its pods.

A connection is judged by both its ends, at the node of each: by the client's policies for Egress and the server's for
Ingress. The ends are those that conntrack knows: `ct original … saddr` is the client, whatever masquerades it, and
`ct reply … saddr` and `ct reply proto-src` are the server and its port, whatever Service led there. Packets of both
directions get the same answer, so no rule lets established connections pass, and a new policy ends them.

A pod's address leads to a chain with a line for each kind of connection that is allowed, and a `drop` at the end.
Chains are named by what is in them: pods with the same lines share one, and a chain never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2s

from apimachinery.selectors import EVERYTHING
from kubeapi.networking.networkpolicy import EGRESS, INGRESS
from netagent.policy.pods import FAMILIES, IPV4, IPV6, PodFacts, PodPorts, PodSelector, Population
from netagent.policy.rules import LAST_PORT, Block, Policy, Ports, Rule, merged
from netagent.policy.ruleset import LONGEST_COMMENT, ElementSet, Ruleset

ADDRESS = {IPV4: "ip", IPV6: "ip6"}
"""Family -> nft's name of its addresses in expressions."""
_TYPE = {IPV4: "ipv4_addr", IPV6: "ipv6_addr"}
_CLIENT, _SERVER = "original", "reply"
_FAR_END = {INGRESS: _CLIENT, EGRESS: _SERVER}
_NEAR_END = {INGRESS: _SERVER, EGRESS: _CLIENT}
EVERYONE = PodSelector("", EVERYTHING, EVERYTHING)
HELD = "held"
ALLOW, DROP = "return", "drop"


def plan(policies: Iterable[Policy], population: Population, node: str, pod_cidrs: Iterable[str] = ()) -> Ruleset:
    """Returns the rules of a node. `pod_cidrs` are the ranges that its pods' addresses come from."""
    return _Plan(policies, population).make(node, list(pod_cidrs))


class _Plan:
    def __init__(self, policies: Iterable[Policy], population: Population) -> None:
        self._population = population
        self._by_namespace: dict[str, list[Policy]] = {}
        for policy in sorted(policies, key=lambda policy: policy.key):
            self._by_namespace.setdefault(policy.namespace, []).append(policy)
        self._ruleset = Ruleset()
        self._used: set[PodSelector] = set()
        self._lines: dict[tuple[str, str, str, PodPorts], list[str]] = {}

    def make(self, node: str, pod_cidrs: list[str]) -> Ruleset:
        held: set[str] = set()
        local = self._population.on_node(node)
        for pod in local:
            selecting = [
                policy for policy in self._by_namespace.get(pod.namespace, ()) if policy.pods.matches(dict(pod.labels))
            ]
            for direction in (INGRESS, EGRESS):
                restricting = [policy for policy in selecting if direction in policy.rules]
                if restricting and not pod.addresses:
                    held.add(direction)
                elif restricting:
                    self._restrict(pod, direction, restricting)
        self._hold(held, local, pod_cidrs)
        self._population.forget_all_but(self._used)
        return self._ruleset

    def _restrict(self, pod: PodFacts, direction: str, policies: list[Policy]) -> None:
        for family in FAMILIES:
            addresses = pod.of_family(family)
            if not addresses:
                continue
            lines = [line for policy in policies for line in self._policy_lines(policy, direction, family, pod)]
            if any(line.startswith(ALLOW) for line in lines):
                continue  # everything is allowed
            chain = self._chain(direction, family, (*dict.fromkeys(lines), DROP))
            for address in addresses:
                self._ruleset.maps[f"{direction.lower()}{family}"][address] = chain
                self._ruleset.sets[f"self{family}"].elements |= {f"{address} . {address}"}

    def _chain(self, direction: str, family: str, lines: tuple[str, ...]) -> str:
        name = f"{direction.lower()}{family}-{_digest(lines)}"
        self._ruleset.chains[name] = lines
        return name

    def _policy_lines(self, policy: Policy, direction: str, family: str, pod: PodFacts) -> list[str]:
        """Returns the lines of a policy, which depend on no more of the pod than its named ports."""
        key = (policy.key, direction, family, pod.ports)
        lines = self._lines.get(key)
        if lines is None:
            rules = policy.rules[direction]
            matches = [match for rule in rules for match in self._rule_matches(rule, direction, family, pod)]
            comment = f'comment "{policy.key[:LONGEST_COMMENT]}"'
            lines = self._lines[key] = [f"{match} {ALLOW} {comment}".strip() for match in matches]
        return lines

    def _rule_matches(self, rule: Rule, direction: str, family: str, pod: PodFacts) -> list[str]:
        """Returns a match for each pair of a peer and a protocol."""
        peers: list[PodSelector | Block | None] = [
            peer for peer in rule.peers if not isinstance(peer, Block) or peer.family == family
        ]
        if not rule.peers:
            peers = [None]
        matches: list[str] = []
        for peer in peers:
            far_end = self._far_end(peer, direction, family)
            if not rule.ports:
                matches.append(far_end)
            for ports in rule.ports:
                numbers = _numbers(ports, pod) if direction == INGRESS else ports.ranges
                if numbers:
                    matches.append(f"{_port_match(ports.protocol, numbers)} {far_end}".strip())
                if direction == EGRESS:
                    matches += [self._named_match(peer, ports.protocol, name, family) for name in ports.names]
        return matches

    def _far_end(self, peer: PodSelector | Block | None, direction: str, family: str) -> str:
        end = f"ct {_FAR_END[direction]} {ADDRESS[family]} saddr"
        if peer is None:
            return ""
        if isinstance(peer, PodSelector):
            return f"{end} @{self._peer_set(peer, family)}"
        holes = f" {end} != {{ {', '.join(peer.holes)} }}" if peer.holes else ""
        return f"{end} {peer.cidr}{holes}"

    def _peer_set(self, selector: PodSelector, family: str) -> str:
        self._used.add(selector)
        name = f"peer{family}-{_digest(selector)}"
        addresses = self._population.addresses(selector, family)
        self._ruleset.sets[name] = ElementSet(_TYPE[family], addresses, str(selector))
        return name

    def _named_match(self, peer: PodSelector | Block | None, protocol: str, port: str, family: str) -> str:
        """Returns the match of a port that each server has by another number."""
        selector = peer if isinstance(peer, PodSelector) else EVERYONE
        self._used.add(selector)
        name = f"port{family}-{_digest((peer, protocol, port))}"
        elements = frozenset(
            f"{address} . {number}"
            for pod in self._population.members(selector)
            for address in pod.of_family(family)
            if not isinstance(peer, Block) or address in peer
            for number in _named(pod, protocol, port)
        )
        comment = f"{port}/{protocol} of {peer or 'all pods'}"
        self._ruleset.sets[name] = ElementSet(f"{_TYPE[family]} . inet_service", elements, comment)
        server = f"ct {_SERVER} {ADDRESS[family]} saddr . ct {_SERVER} proto-src"
        return f"meta l4proto {protocol.lower()} {server} @{name}"

    def _hold(self, directions: set[str], local: list[PodFacts], pod_cidrs: list[str]) -> None:
        """Holds packets of unknown addresses while a pod has none yet that a policy isolates."""
        if not directions:
            return
        lines = []
        for block in (Block(cidr, ()) for cidr in pod_cidrs):
            known = frozenset(address for pod in local for address in pod.of_family(block.family))
            self._ruleset.sets[f"local{block.family}"].elements = known
            for direction in sorted(directions):
                end = f"ct {_NEAR_END[direction]} {ADDRESS[block.family]} saddr"
                lines.append(f"{end} {block.cidr} {end} != @local{block.family} {DROP}")
        self._ruleset.chains[HELD] = tuple(lines)


def _digest(content: object) -> str:
    return blake2s(repr(content).encode(), digest_size=8).hexdigest()


def _named(pod: PodFacts, protocol: str, name: str) -> list[int]:
    return [number for found, its_protocol, number in pod.ports if (found, its_protocol) == (name, protocol)][:1]


def _numbers(ports: Ports, pod: PodFacts) -> tuple[tuple[int, int], ...]:
    """Returns the ports of a server, with its own numbers for names."""
    named = [(number, number) for name in ports.names for number in _named(pod, ports.protocol, name)]
    return merged([*ports.ranges, *named])


def _port_match(protocol: str, ranges: tuple[tuple[int, int], ...]) -> str:
    match = f"meta l4proto {protocol.lower()}"
    if ranges == ((0, LAST_PORT),):
        return match
    numbers = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
    return f"{match} ct {_SERVER} proto-src {{ {numbers} }}"
