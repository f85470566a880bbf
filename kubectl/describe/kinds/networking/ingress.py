"""Ingresses, with the endpoints of their backends."""

from __future__ import annotations

from apimachinery.errors import StatusError
from kubectl.api.client import Dict
from kubectl.describe.kinds.core.service import endpoints_of, slices_of
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec = obj["metadata"], obj["spec"]
    writer.field("Name", meta["name"])
    writer.labels("Labels", meta.get("labels"))
    writer.field("Namespace", meta["namespace"])
    addresses = (obj.get("status", {}).get("loadBalancer") or {}).get("ingress") or ()
    writer.field("Address", ",".join(sorted({at.get("ip") or at.get("hostname") or "" for at in addresses})))
    writer.field("Ingress Class", spec.get("ingressClassName"))
    default = spec.get("defaultBackend")
    default_text = _backend(context, meta["namespace"], default) if default else "<default>"
    writer.field("Default backend", default_text)
    if certificates := spec.get("tls"):
        writer.heading("TLS")
        for item in certificates:
            verb = f"{item['secretName']} terminates" if item.get("secretName") else "SNI routes"
            writer.line(f"{verb} {','.join(item.get('hosts') or ())}", 1)
    writer.heading("Rules")
    writer.line("Host\tPath\tBackends", 1)
    writer.line("----\t----\t--------", 1)
    rules = [rule for rule in spec.get("rules") or () if "http" in rule]
    for rule in rules:
        writer.line(f"{rule.get('host') or '*'}\t", 1)
        for item in rule["http"]["paths"]:
            writer.line(f"\t{item.get('path', '')} \t{_backend(context, meta['namespace'], item['backend'])}", 2)
    if not rules:
        writer.line(f"*\t*\t{default_text}", 1)
    writer.annotations(meta.get("annotations"))


def _backend(context: CommandContext, namespace: str, backend: Dict) -> str:
    if resource := backend.get("resource"):
        return f"APIGroup: {resource.get('apiGroup', '<none>')}, Kind: {resource['kind']}, Name: {resource['name']}"
    name, port = backend["service"]["name"], backend["service"].get("port") or {}
    text = f"{name}:{port.get('number') or port.get('name', '')}"
    try:
        service = context.api.request("GET", context.discovery.by_kind("v1", "Service").path(namespace, name))
    except StatusError as error:
        return f"{text} (<error: {error.message}>)"
    ports = service["spec"].get("ports") or ()
    names = [
        item.get("name") or ""
        for item in ports
        if port.get("number") == item["port"] or port.get("name") == item.get("name")
    ]
    return f"{text} ({endpoints_of(slices_of(context, service), names[0] if names else '') or '<none>'})"


DESCRIBE = DescribeSection(_write, "networking.k8s.io")
