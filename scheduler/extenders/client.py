"""Asks one extender. Documents are spelled as Go's types in kube-scheduler/extender/v1, which have no JSON names."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from apimachinery.errors import StatusError
from kubeclient.access.config import ClientConfig
from kubeclient.rest import RestClient, user_agent
from scheduler.extenders.model import Extender, ExtenderTLSConfig
from scheduler.state.victims import Preemption

MAX_PRIORITY = 10

Document = dict[str, Any]


class ExtenderError(ConnectionError):
    """The extender can't be reached, says that it failed, or answers with something else than was asked."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """Names the nodes that are left, and why each of the others is not."""

    nodes: frozenset[str]
    reasons: Mapping[str, str]
    curable: frozenset[str]
    """The refused nodes that might do if pods there were gone."""


@dataclass(frozen=True, slots=True)
class NamedVictims:
    """Says which pods an extender wants to go from a node, by their uids."""

    uids: Sequence[str]
    violated: int
    """How many of the evictions break a budget."""


class ExtenderClient:
    def __init__(self, extender: Extender) -> None:
        """Raises: OSError, ssl.SSLError for certificates that can't be read."""
        self.extender = extender
        self._managed = frozenset(item.name for item in extender.managedResources or ())
        self._rest = RestClient(_client_config(extender), user_agent=user_agent("kube-scheduler"))

    @property
    def name(self) -> str:
        return self.extender.urlPrefix

    def concerns(self, requests: Mapping[str, int]) -> bool:
        """Tells whether it is asked about pods with these requests."""
        return not self._managed or any(requests.get(name) for name in self._managed)

    async def filter(self, pod: Document, names: list[str], nodes: Mapping[str, Document]) -> Filtered:
        """`nodes` has the whole ones; empty for an extender that is nodeCacheCapable. Raises: ExtenderError."""
        answer = await self._ask(self.extender.filterVerb, self._arguments(pod, names, nodes))
        self._check(answer)
        with self._reading():
            left = answer.get("NodeNames")
            if left is None:
                left = [item["metadata"]["name"] for item in (answer.get("Nodes") or {}).get("items") or ()]
            failed, unresolvable = answer.get("FailedNodes") or {}, answer.get("FailedAndUnresolvableNodes") or {}
            reasons = {name: str(reason) for name, reason in (failed | unresolvable).items()}
            return Filtered(frozenset(left), reasons, frozenset(failed.keys() - unresolvable.keys()))

    async def prioritize(self, pod: Document, names: list[str], nodes: Mapping[str, Document]) -> dict[str, int]:
        """Returns its ratings, 0 to MAX_PRIORITY, by node. Raises: ExtenderError."""
        answer = await self._ask(self.extender.prioritizeVerb, self._arguments(pod, names, nodes))
        with self._reading():
            return {item["Host"]: _whole(item.get("Score") or 0) for item in answer}

    async def preempt(
        self, pod: Document, candidates: Sequence[Preemption], pods: Mapping[str, Document]
    ) -> dict[str, NamedVictims]:
        """Returns the victims that it names, by node. `pods` has the whole ones by uid, unless it is nodeCacheCapable.

        Raises: ExtenderError.
        """
        names_suffice = bool(self.extender.nodeCacheCapable)
        asked = {
            item.node: {
                "Pods": [{"UID": victim.uid} if names_suffice else pods[victim.uid] for victim in item.victims],
                "NumPDBViolations": item.violated,
            }
            for item in candidates
        }
        body = {
            "Pod": pod,
            "NodeNameToVictims": None if names_suffice else asked,
            "NodeNameToMetaVictims": asked if names_suffice else None,
        }
        answer = await self._ask(self.extender.preemptVerb, body)
        with self._reading():
            named = (answer.get("NodeNameToMetaVictims") or {}).items()
            return {node: _named_victims(_go_keys(victims or {})) for node, victims in named}

    async def bind(self, name: str, namespace: str, uid: str, node: str) -> None:
        """Raises: ExtenderError."""
        body = {"PodName": name, "PodNamespace": namespace, "PodUID": uid, "Node": node}
        self._check(await self._ask(self.extender.bindVerb, body))

    def _check(self, answer: Any) -> None:
        error = answer.get("Error") if isinstance(answer, dict) else "the answer is not an object"
        if error:
            raise ExtenderError(f"extender {self.name}: {error}")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ExtenderError(f"extender {self.name}: unexpected answer: {error!r}") from None

    async def aclose(self) -> None:
        await self._rest.aclose()

    def _arguments(self, pod: Document, names: list[str], nodes: Mapping[str, Document]) -> Document:
        if self.extender.nodeCacheCapable:
            return {"Pod": pod, "Nodes": None, "NodeNames": names}
        whole = {"apiVersion": "v1", "kind": "NodeList", "metadata": {}}
        return {"Pod": pod, "Nodes": whole | {"items": [nodes[name] for name in names if name in nodes]}}

    async def _ask(self, verb: str | None, body: Document) -> Any:
        seconds = self.extender.timeout_seconds
        try:
            answer = await self._rest.request("POST", f"/{verb}", body=orjson.dumps(body), timeout_seconds=seconds)
            return _go_keys(orjson.loads(answer))
        except (StatusError, ConnectionError, TimeoutError, orjson.JSONDecodeError) as error:
            raise ExtenderError(f"extender {self.name}: {verb}: {error}") from None


def _named_victims(victims: Document) -> NamedVictims:
    pods = _go_keys(victims.get("Pods") or [])
    return NamedVictims([str(pod["UID"]) for pod in pods], _whole(victims.get("NumPDBViolations") or 0))


def _whole(number: Any) -> int:
    if not isinstance(number, int):
        raise ValueError(f"{number!r} is not a whole number")
    return number


_KEYS = {
    key.lower(): key
    for key in (
        "Error", "NodeNames", "Nodes", "FailedNodes", "FailedAndUnresolvableNodes", "Host", "Score",
        "NodeNameToMetaVictims", "Pods", "NumPDBViolations", "UID",
    )
}  # fmt: skip


def _go_keys(answer: Any) -> Any:
    """Spells the members of an answer as Go would read them: in any case."""
    if isinstance(answer, list):
        return [_go_keys(item) for item in answer]
    return {_KEYS.get(key.lower(), key): value for key, value in answer.items()} if isinstance(answer, dict) else answer


def _client_config(extender: Extender) -> ClientConfig:
    tls = extender.tlsConfig or ExtenderTLSConfig()
    trusts = bool(tls.caFile or tls.caData)
    return ClientConfig(
        server=extender.urlPrefix.rstrip("/"),
        ca_file=tls.caFile or "",
        ca_data=_pem(tls.caData),
        cert_file=tls.certFile or "",
        cert_data=_pem(tls.certData),
        key_file=tls.keyFile or "",
        key_data=_pem(tls.keyData),
        insecure=bool(tls.insecure) or (bool(extender.enableHTTPS) and not trusts),
        tls_server_name=tls.serverName or "",
    )


def _pem(data: str | None) -> str:
    return base64.b64decode(data).decode() if data else ""
