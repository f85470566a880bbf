"""Reads a planned ruleset as the kernel would, one connection at a time: the few words of nft that plans use."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from netagent.policy.ruleset import Ruleset


@dataclass(frozen=True)
class Connection:
    client: str
    server: str
    port: int
    protocol: str = "TCP"

    @property
    def version(self) -> int:
        return ip_address(self.client).version


def passes(rules: Ruleset, connection: Connection) -> bool:
    """Whether a node with these rules lets the connection pass."""
    family = str(connection.version)
    if f"{connection.client} . {connection.server}" in rules.sets[f"self{family}"].elements:
        return True
    chains = [rules.chains["held"]]
    for name, address in ((f"egress{family}", connection.client), (f"ingress{family}", connection.server)):
        if address in rules.maps[name]:
            chains.append(rules.chains[rules.maps[name][address]])
    return all(_verdict(chain, rules, connection) != "drop" for chain in chains)


def _verdict(chain: tuple[str, ...], rules: Ruleset, connection: Connection) -> str:
    for line in chain:
        words = line.partition(" comment ")[0].split()
        verdict = words.pop()
        if _matches(words, rules, connection):
            return verdict
    return "return"


def _matches(words: list[str], rules: Ruleset, connection: Connection) -> bool:
    words = list(words)
    while words:
        left = _take_left(words, connection)
        if left is None:
            return False
        negated = words[0] == "!="
        if negated:
            words.pop(0)
        if _among(left, _take_right(words), rules) == negated:
            return False
    return True


def _take_left(words: list[str], connection: Connection) -> str | None:
    """The value of the expression that the words begin with; None where the packet has none: of the other family."""
    parts = []
    while True:
        if words[:2] == ["meta", "l4proto"]:
            del words[:2]
            parts.append(connection.protocol.lower())
        elif words[2] == "proto-src":
            assert words[:2] == ["ct", "reply"]
            del words[:3]
            parts.append(str(connection.port))
        else:
            kind, end, family, what = words[:4]
            assert (kind, what) == ("ct", "saddr"), words
            del words[:4]
            if family != ("ip" if connection.version == 4 else "ip6"):
                return None
            parts.append({"original": connection.client, "reply": connection.server}[end])
        if words[0] != ".":
            return " . ".join(parts)
        words.pop(0)


def _take_right(words: list[str]) -> list[str]:
    if words[0] != "{":
        return [words.pop(0)]
    end = words.index("}")
    items = [word.rstrip(",") for word in words[1:end]]
    del words[: end + 1]
    return items


def _among(left: str, right: list[str], rules: Ruleset) -> bool:
    for item in right:
        if item.startswith("@"):
            if left in rules.sets[item[1:]].elements:
                return True
        elif "/" in item:
            if ip_address(left) in ip_network(item):
                return True
        elif item == left:
            return True
        elif "-" in item and left.isdigit():
            first, last = map(int, item.split("-"))
            if first <= int(left) <= last:
                return True
    return False
