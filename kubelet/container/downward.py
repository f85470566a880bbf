"""The downward API: a pod's own fields and resources, as environment values and as files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Protocol

from apimachinery.quantity import parse_quantity
from apimachinery.validation import ip_family
from kubeapi.core.node import Node
from kubeapi.core.pod.env import ResourceFieldSelector
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubelet.container.spec import find_container
from kubelet.runtime.interface import SandboxStatus

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]\Z")


class FieldError(Exception):
    """The reference names no field that the downward API has, or a container that does not exist."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The facts about its node that a pod may see: the addresses and, in base units, the default of limits.

    The labels decide which volumes can be reached from here.
    """

    name: str
    ips: tuple[str, ...]
    allocatable: Mapping[str, Fraction]
    labels: Mapping[str, str] = field(default_factory=dict)


class NodeView(Protocol):
    """This node, as its pods meet it."""

    @property
    def memory_bytes(self) -> int:
        """The machine's memory."""

    def current(self) -> Node:
        """The Node as the API has it now."""

    def facts(self) -> NodeFacts: ...


def pod_addresses(sandbox: SandboxStatus | None, node_ips: tuple[str, ...]) -> tuple[str, ...]:
    """The pod's addresses: those of its sandbox, or the node's with host networking; none while it is not ready.

    There is one of each family that the node has, in its order: the engine's network may have more.
    """
    if sandbox is None or not sandbox.ready:
        return ()
    if sandbox.host_network:
        return node_ips
    by_family = {ip_family(ip): ip for ip in reversed(sandbox.ips)}
    return tuple(by_family[family] for family in map(ip_family, node_ips) if family in by_family)


def field_value(pod: Pod, path: str, node: NodeFacts, pod_ips: tuple[str, ...]) -> str:
    """Returns the text of one pod field: "metadata.name", "metadata.labels['app']", "status.podIP", "metadata.labels" …

    Raises: FieldError.
    """
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        values = pod.labels if subscript[1] == "labels" else pod.annotations
        return values.get(subscript[2], "")
    reader = _FIELDS.get(path)
    if reader is not None:
        return reader(pod)
    if path == "metadata.labels":
        return format_map(pod.labels)
    if path == "metadata.annotations":
        return format_map(pod.annotations)
    if path == "status.podIP":
        return pod_ips[0] if pod_ips else ""
    if path == "status.podIPs":
        return ",".join(pod_ips)
    if path == "status.hostIP":
        return node.ips[0] if node.ips else ""
    if path == "status.hostIPs":
        return ",".join(node.ips)
    raise FieldError(f"unsupported fieldPath: {path}")


_FIELDS: dict[str, Callable[[Pod], str]] = {
    "metadata.name": lambda pod: pod.name,
    "metadata.namespace": lambda pod: pod.namespace,
    "metadata.uid": lambda pod: pod.metadata.uid or "",
    "spec.nodeName": lambda pod: pod.spec.nodeName or "",
    "spec.serviceAccountName": lambda pod: pod.spec.serviceAccountName or "",
}


def format_map(values: Mapping[str, str]) -> str:
    """Labels as a file shows them: one `key="escaped value"` a line, sorted."""
    return "\n".join(f"{key}={_go_quote(values[key])}" for key in sorted(values))


def _go_quote(text: str) -> str:
    """A Go string literal: printable characters stay, the rest is escaped."""
    simple = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b"}
    simple |= {"\f": "\\f", "\v": "\\v"}
    return '"' + "".join(simple.get(char) or (char if char.isprintable() else _escape(char)) for char in text) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def resource_value(pod: Pod, container: Container, selector: ResourceFieldSelector, node: NodeFacts) -> str:
    """A container's limit or request divided by the selector's divisor, rounded up.

    A missing cpu, memory or ephemeral-storage limit is what the node can allocate; a missing request is 0.
    Raises: FieldError.
    """
    if selector.containerName and selector.containerName != container.name:
        other = find_container(pod, selector.containerName)
        if other is None:
            raise FieldError(f"container {selector.containerName} not found")
        container = other
    group, _, name = selector.resource.partition(".")
    if group not in ("limits", "requests") or not name:
        raise FieldError(f"unsupported container resource : {selector.resource}")
    resources = container.resources
    amounts = (resources.limits if group == "limits" else resources.requests) if resources else None
    if amounts and name in amounts:
        value = parse_quantity(amounts[name])
    elif group == "limits" and name in ("cpu", "memory", "ephemeral-storage"):
        value = node.allocatable.get(name, Fraction(0))
    else:
        limits = resources.limits if resources else None
        value = parse_quantity(limits[name]) if limits and name in limits else Fraction(0)
    divisor = parse_quantity(selector.divisor) if selector.divisor else Fraction(1)
    return str(ceil(value / (divisor or 1)))
