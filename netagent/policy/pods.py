"""All pods of the cluster, as policies see them: who has which labels, addresses and named ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address

from apimachinery.selectors import Selector
from netagent.policy.views import Pod

Labels = Mapping[str, str]
PodPorts = tuple[tuple[str, str, int], ...]
"""Name, protocol and number of each named port."""

IPV4, IPV6 = "4", "6"
FAMILIES = (IPV4, IPV6)
FAMILIES_REMEMBERED = 16384  # addresses; the longest unused go, and are parsed again
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What policies may ask about a pod."""

    key: str
    """ "namespace/name"."""
    namespace: str
    labels: tuple[tuple[str, str], ...]
    """Sorted by key."""
    node: str = ""
    addresses: tuple[str, ...] = ()
    """Empty until the pod has its network."""
    ports: PodPorts = ()

    def of_family(self, family: str) -> list[str]:
        return [address for address in self.addresses if family_of(address) == family]


@lru_cache(FAMILIES_REMEMBERED)
def family_of(address: str) -> str:
    return str(ip_address(address).version)


def facts_of(pod: Pod) -> PodFacts | None:
    """Returns None for a pod without a network of its own: one on its node's network, one without a node, and one that
    has ended, whose address may be another's by now."""
    spec, status = pod.spec, pod.status
    if spec.hostNetwork or not spec.nodeName or status.phase in _ENDED:
        return None
    containers = [*spec.containers, *(spec.initContainers or ())]
    return PodFacts(
        pod.key,
        pod.namespace,
        tuple(sorted(pod.labels.items())),
        spec.nodeName,
        tuple(item.ip for item in status.podIPs or ()),
        tuple(
            (port.name, port.protocol, port.containerPort)
            for container in containers
            for port in container.ports or ()
            if port.name
        ),
    )


@dataclass(frozen=True, slots=True)
class PodSelector:
    """Selects pods by their labels: of one namespace, or (with "") of the namespaces whose labels match."""

    namespace: str
    namespaces: Selector
    pods: Selector

    def __str__(self) -> str:
        where = self.namespace or f"namespaces({self.namespaces})"
        return f"{where}/pods({self.pods})"


@dataclass(slots=True)
class _Members:
    pods: list[PodFacts]
    addresses: dict[str, frozenset[str]] = field(default_factory=dict)


class Population:
    """Finds the pods of a selector.

    Answers are kept until a pod or namespace changes that has to do with them, and a set of addresses that has not
    changed is the same object: who compares two plans need not look into it.
    """

    def __init__(self) -> None:
        self._pods: dict[str, PodFacts] = {}
        self._namespaces: dict[str, Labels] = {}
        self._groups: dict[str, dict[tuple[tuple[str, str], ...], dict[str, PodFacts]]] = {}
        self._members: dict[PodSelector, _Members] = {}
        self._on_node: dict[str, dict[str, PodFacts]] = {}

    def put_pod(self, key: str, facts: PodFacts | None) -> bool:
        """Takes in a pod as it is now; None when it is gone. Returns whether anything has changed."""
        old = self._pods.get(key)
        if old == facts:
            return False
        for selector in [selector for selector in self._members if self._concerns(selector, old, facts)]:
            del self._members[selector]
        if old is not None:
            del self._pods[key], self._on_node[old.node][key]
            groups = self._groups[old.namespace]
            del groups[old.labels][key]
            if not groups[old.labels]:
                del groups[old.labels]
        if facts is not None:
            self._pods[key] = self._on_node.setdefault(facts.node, {})[key] = facts
            self._groups.setdefault(facts.namespace, {}).setdefault(facts.labels, {})[key] = facts
        return True

    def put_namespace(self, name: str, labels: Labels | None) -> bool:
        """Takes in a namespace's labels; None when it is gone. Returns whether anything has changed."""
        if self._namespaces.get(name) == labels:
            return False
        for selector in [selector for selector in self._members if not selector.namespace]:
            del self._members[selector]
        if labels is None:
            del self._namespaces[name]
        else:
            self._namespaces[name] = labels
        return True

    def on_node(self, node: str) -> list[PodFacts]:
        return list(self._on_node.get(node, {}).values())

    def members(self, selector: PodSelector) -> list[PodFacts]:
        """Returns the pods with addresses that the selector selects."""
        return self._of(selector).pods

    def addresses(self, selector: PodSelector, family: str) -> frozenset[str]:
        members = self._of(selector)
        if family not in members.addresses:
            members.addresses[family] = frozenset(item for pod in members.pods for item in pod.of_family(family))
        return members.addresses[family]

    def forget_all_but(self, selectors: set[PodSelector]) -> None:
        """Drops the answers about selectors that no policy has any more."""
        for selector in self._members.keys() - selectors:
            del self._members[selector]

    def _of(self, selector: PodSelector) -> _Members:
        members = self._members.get(selector)
        if members is None:
            pods = [pod for group in self._matching(selector) for pod in group.values() if pod.addresses]
            members = self._members[selector] = _Members(pods)
        return members

    def _matching(self, selector: PodSelector) -> Iterator[dict[str, PodFacts]]:
        for namespace in [selector.namespace] if selector.namespace else self._groups:
            if self._selects_namespace(selector, namespace):
                for labels, group in self._groups.get(namespace, {}).items():
                    if selector.pods.matches(dict(labels)):
                        yield group

    def _selects_namespace(self, selector: PodSelector, namespace: str) -> bool:
        if selector.namespace:
            return selector.namespace == namespace
        labels = self._namespaces.get(namespace)
        return labels is not None and selector.namespaces.matches(labels)

    def _concerns(self, selector: PodSelector, *pods: PodFacts | None) -> bool:
        return any(
            pod is not None
            and self._selects_namespace(selector, pod.namespace)
            and selector.pods.matches(dict(pod.labels))
            for pod in pods
        )
