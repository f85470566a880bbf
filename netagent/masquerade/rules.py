"""The packet rules by which pods leave the cluster with their node's address. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.validation import ip_family

TABLE = "inet mini-kubernetes-masquerade"
AFTER_SERVICES = 101
"""The priority of the chain: kube-proxy's, at 100, decides first."""
WORDS = {"IPv4": "ip", "IPv6": "ip6"}


def transaction(pods: Iterable[str], kept: Iterable[str]) -> str:
    """Returns the text for `nft -f -` that masquerades what the node's `pods` send, but to `kept` networks."""
    kept = list(kept)
    rules = []
    for network in pods:
        word = WORDS[_family(network)]
        others = [item for item in kept if _family(item) == _family(network)]
        beyond = f" {word} daddr != {{ {', '.join(others)} }}" if others else ""
        rules.append(f"    {word} saddr {network}{beyond} masquerade fully-random")
    head = f"    type nat hook postrouting priority {AFTER_SERVICES};"
    return removal() + "\n".join([f"table {TABLE} {{", "  chain postrouting {", head, *rules, "  }", "}", ""])


def removal() -> str:
    """Returns the text that removes the table, also where there is none."""
    return f"table {TABLE}\ndelete table {TABLE}\n"


def _family(network: str) -> str:
    return ip_family(network.partition("/")[0])
