"""NetworkPolicies, with what each rule allows."""

from __future__ import annotations

from datetime import datetime

from apimachinery.columns import selector_text
from apimachinery.meta import LabelSelector
from apimachinery.model import from_dict
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext

_ALL_PODS = "<none> (Allowing the specific traffic to all pods in this namespace)"


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec = obj["metadata"], obj["spec"]
    writer.name(obj)
    created = datetime.fromisoformat(meta["creationTimestamp"]).astimezone()
    writer.field("Created on", created.strftime("%Y-%m-%d %H:%M:%S %z %Z"))
    writer.notes(meta)
    writer.heading("Spec")
    pods = spec.get("podSelector") or {}
    writer.line(f"PodSelector:     {_selector(pods) if pods else _ALL_PODS}", 1)
    types = spec.get("policyTypes") or []
    for name, member, preposition in (("Ingress", "from", "From"), ("Egress", "to", "To")):
        direction = name.lower()
        if name in types:
            writer.line(f"Allowing {direction} traffic:", 1)
            _rules(writer, spec.get(direction) or [], direction, member, preposition)
        else:
            writer.line(f"Not affecting {direction} traffic", 1)
    writer.line(f"Policy Types: {', '.join(types)}", 1)


def _rules(writer: TextWriter, rules: list[Dict], direction: str, member: str, preposition: str) -> None:
    if not rules:
        writer.line(f"<none> (Selected pods are isolated for {direction} connectivity)", 2)
    for index, rule in enumerate(rules):
        if index:
            writer.line("----------", 2)
        for port in rule.get("ports") or ():
            writer.line(_port(port), 2)
        if not rule.get("ports"):
            writer.line("To Port: <any> (traffic allowed to all ports)", 2)
        for peer in rule.get(member) or ():
            writer.line(f"{preposition}:", 2)
            _peer(writer, peer)
        if not rule.get(member):
            end = "source" if direction == "ingress" else "destination"
            writer.line(f"{preposition}: <any> (traffic not restricted by {end})", 2)


def _port(port: Dict) -> str:
    number, protocol = port.get("port", "<any>"), port.get("protocol", "TCP")
    if "endPort" in port:
        return f"To Port Range: {number}-{port['endPort']}/{protocol}"
    return f"To Port: {number}/{protocol}"


def _peer(writer: TextWriter, peer: Dict) -> None:
    for label, key in (("NamespaceSelector", "namespaceSelector"), ("PodSelector", "podSelector")):
        if key in peer:
            writer.line(f"{label}: {_selector(peer[key])}", 3)
    if block := peer.get("ipBlock"):
        writer.line("IPBlock:", 3)
        writer.line(f"CIDR: {block['cidr']}", 4)
        writer.line(f"Except: {', '.join(block.get('except') or ())}", 4)


def _selector(selector: Dict) -> str:
    return selector_text(from_dict(LabelSelector, selector))


DESCRIBE = DescribeSection(_write, "networking.k8s.io", events=False)
