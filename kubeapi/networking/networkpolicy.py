"""NetworkPolicy: the connections that a set of pods may have."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, selector_text
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector, Object
from apimachinery.model import Int32, IntOrString, Model, OneOf
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import CIDR_RULE, Errors, Path, is_cidr
from kubeapi.networking._group import GROUP

INGRESS, EGRESS = "Ingress", "Egress"
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_NO_SUBSET = "must be a strict subset of `cidr`"


class IPBlock(Model, protobuf="cidr except"):
    """A range of addresses, with holes."""

    cidr: str = ""
    """The range, such as 192.168.1.0/24 or 2001:db8::/64."""
    except_: list[str] | None = Field(default=None, alias="except")
    """Ranges within the range that do not belong to the block."""


class NetworkPolicyPeer(Model, protobuf="podSelector namespaceSelector ipBlock"):
    """The other end of a connection: pods by their labels and their namespace's, or a range of addresses."""

    podSelector: LabelSelector | None = None
    """Selects pods by labels: of the namespaces that namespaceSelector selects, or without it of the policy's own."""
    namespaceSelector: LabelSelector | None = None
    """Selects namespaces by labels; without podSelector all of their pods."""
    ipBlock: IPBlock | None = None
    """A range of addresses. It excludes the selectors."""


class NetworkPolicyPort(Model, protobuf="protocol* port* endPort*"):
    """A port, or a range of ports, that is connected to."""

    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] | None = "TCP"
    """TCP (the default), UDP or SCTP."""
    port: IntOrString | None = None
    """The number of the port, or its name in the pods. Default: all ports of the protocol."""
    endPort: Int32 | None = None
    """The last port of a range that begins with `port`, which is then a number."""


class NetworkPolicyIngressRule(Model, protobuf="ports from"):
    """Connections to the pods: those that come from one of the peers and go to one of the ports."""

    from_: list[NetworkPolicyPeer] | None = Field(default=None, alias="from")
    """The peers that may connect. Default: all."""
    ports: list[NetworkPolicyPort] | None = None
    """The ports of the pods. Default: all."""


class NetworkPolicyEgressRule(Model, protobuf="ports to"):
    """Connections from the pods: those that go to one of the ports of one of the peers."""

    to: list[NetworkPolicyPeer] | None = None
    """The peers that the pods may connect to. Default: all."""
    ports: list[NetworkPolicyPort] | None = None
    """The ports of the peers. Default: all."""


class NetworkPolicySpec(Model, protobuf="podSelector ingress egress policyTypes"):
    """The pods of a policy and what it allows them. A connection that some policy of a pod allows is allowed."""

    podSelector: LabelSelector = Field(default_factory=LabelSelector)
    """Selects the pods by labels. An empty one selects all of the namespace."""
    ingress: list[NetworkPolicyIngressRule] | None = None
    """The connections to the pods that are allowed. Without a rule, none are, if policyTypes has Ingress."""
    egress: list[NetworkPolicyEgressRule] | None = None
    """The connections from the pods that are allowed. Without a rule, none are, if policyTypes has Egress."""
    policyTypes: list[str] | None = None
    """The directions that the policy restricts: Ingress, Egress. Default: Ingress, and Egress if it has egress
    rules."""


class NetworkPolicy(Object, protobuf="metadata spec"):
    """Restricts the connections of pods. Pods that no policy selects are open."""

    spec: NetworkPolicySpec = Field(default_factory=NetworkPolicySpec)
    """The pods, and what they are allowed."""


class NetworkPolicyStrategy(Strategy[NetworkPolicy]):
    """Source: Kubernetes documentation, "Network Policies"."""

    def default(self, obj: NetworkPolicy) -> None:
        if not obj.spec.policyTypes:
            obj.spec.policyTypes = [INGRESS, EGRESS] if obj.spec.egress else [INGRESS]

    def validate(self, obj: NetworkPolicy) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        errors.check_selector(("spec", "podSelector"), spec.podSelector)
        for index, ingress in enumerate(spec.ingress or ()):
            _check_rule(errors, ("spec", "ingress", index), ingress.ports, "from", ingress.from_)
        for index, egress in enumerate(spec.egress or ()):
            _check_rule(errors, ("spec", "egress", index), egress.ports, "to", egress.to)
        types = spec.policyTypes or []
        if len(types) > 2:
            errors.invalid(("spec", "policyTypes"), types, "may not specify more than two policyTypes")
            return errors
        for index, name in enumerate(types):
            if name not in (INGRESS, EGRESS):
                errors.not_supported(("spec", "policyTypes", index), name, (INGRESS, EGRESS))
        return errors


def _check_rule(
    errors: Errors,
    path: Path,
    ports: list[NetworkPolicyPort] | None,
    member: str,
    peers: list[NetworkPolicyPeer] | None,
) -> None:
    for index, port in enumerate(ports or ()):
        _check_port(errors, (*path, "ports", index), port)
    for index, peer in enumerate(peers or ()):
        _check_peer(errors, (*path, member, index), peer)


def _check_port(errors: Errors, path: Path, port: NetworkPolicyPort) -> None:
    if port.protocol is not None and port.protocol not in _PROTOCOLS:
        errors.not_supported((*path, "protocol"), port.protocol, _PROTOCOLS)
    at, last = (*path, "endPort"), port.endPort
    if isinstance(port.port, int) and last is not None:
        if last < port.port:
            errors.invalid(at, port.port, "must be greater than or equal to `port`")
        errors.check_port(at, last)
    elif last is not None:
        why = "not specified" if port.port is None else "non-numeric"
        errors.invalid(at, last, f"may not be specified when `port` is {why}")
    if port.port is not None:
        errors.check_port_or_name((*path, "port"), port.port)


def _check_peer(errors: Errors, path: Path, peer: NetworkPolicyPeer) -> None:
    errors.check_selector((*path, "podSelector"), peer.podSelector)
    errors.check_selector((*path, "namespaceSelector"), peer.namespaceSelector)
    if peer.ipBlock is not None:
        _check_block(errors, (*path, "ipBlock"), peer.ipBlock)
    selects = peer.podSelector is not None or peer.namespaceSelector is not None
    if peer.ipBlock is None and not selects:
        errors.required(path, "must specify a peer")
    elif peer.ipBlock is not None and selects:
        errors.forbidden(path, "may not specify both ipBlock and another peer")


def _check_block(errors: Errors, path: Path, block: IPBlock) -> None:
    at = (*path, "cidr")
    if not block.cidr:
        errors.required(at)
        return
    right = _check_cidr(errors, at, block.cidr)
    for index, text in enumerate(block.except_ or ()):
        at = (*path, "except", index)
        if not _check_cidr(errors, at, text) or not right:
            continue
        whole, hole = ip_network(block.cidr), ip_network(text)
        if whole.version != hole.version or whole == hole or not whole.overlaps(hole) or hole.supernet_of(whole):  # type: ignore[arg-type]
            errors.invalid(at, text, _NO_SUBSET)


def _check_cidr(errors: Errors, path: Path, value: str) -> bool:
    """Requires a range in its usual form; tells whether it is one."""
    if not is_cidr(value):
        errors.invalid(path, value, CIDR_RULE)
        return False
    try:
        ip_network(value)
    except ValueError:
        errors.invalid(path, value, "must not have bits set beyond the prefix length")
        return False
    return True


RESOURCE = Resource(
    kind="NetworkPolicy",
    plural="networkpolicies",
    model=NetworkPolicy,
    group=GROUP,
    short_names=("netpol",),
    strategy=NetworkPolicyStrategy(),
    columns=(
        NAME,
        Column("Pod-Selector", lambda obj, now: selector_text(obj.spec.podSelector), "The pods that it restricts."),
        AGE,
    ),
)
