"""A cluster as the ingress controller sees it, made from a few words."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from apimachinery.meta import ObjectMeta
from apimachinery.model import from_dict
from ingress.annotations import PREFIX
from ingress.configuration import Place
from ingress.owncertificate import make_certificate
from ingress.plan import CONTROLLER, Plan, World, make_plan
from kubeapi.core.secret.model import Secret
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeapi.networking.ingress import Ingress
from kubeapi.networking.ingressclass import IngressClass, IngressClassSpec

OWN_CERTIFICATE = make_certificate()


class Cluster:
    """Holds objects of the namespace "default" and of the class "mini"."""

    def __init__(self) -> None:
        self.ingresses: dict[str, Ingress] = {}
        self.services: dict[str, Service] = {}
        self.slices: dict[str, list[EndpointSlice]] = {}
        self.secrets: dict[str, Secret] = {}

    def service(self, name: str, *endpoints: str, **spec: Any) -> None:
        """Makes a Service of port 80; endpoints are "10.0.0.1:8080", those that are not ready begin with "-"."""
        self.services[f"default/{name}"] = from_dict(
            Service, {"metadata": _meta(name), "spec": {"ports": [{"name": "http", "port": 80}], **spec}}
        )
        self.slices[f"default/{name}"] = [
            from_dict(
                EndpointSlice,
                {
                    "metadata": _meta(f"{name}-{index}"),
                    "addressType": "IPv6" if host.startswith("[") else "IPv4",
                    "endpoints": [{"addresses": [host.strip("[]")], "conditions": {"ready": endpoint[0] != "-"}}],
                    "ports": [{"name": "http", "port": int(port)}],
                },
            )
            for index, endpoint in enumerate(endpoints)
            for host, _, port in [endpoint.lstrip("-").rpartition(":")]
        ]

    def ingress(
        self,
        name: str,
        *rules: tuple[str, str],
        annotations: Mapping[str, str] | None = None,
        path_type: str = "Prefix",
        **spec: Any,
    ) -> Ingress:
        """Makes an Ingress; rules are ("host/path", Service), and annotations lack ingress-nginx's prefix."""
        listed = []
        for where, service in rules:
            host, slash, path = where.partition("/")
            item = {"path": slash + path, "pathType": path_type, "backend": backend(service)}
            listed.append({"http": {"paths": [item]}} | ({"host": host} if host else {}))
        written = {PREFIX + key: value for key, value in (annotations or {}).items()}
        minute, second = divmod(len(self.ingresses), 60)
        meta = _meta(name) | {
            "annotations": written,
            "creationTimestamp": f"2026-01-01T00:{minute:02}:{second:02}Z",
        }
        spec = {"ingressClassName": "mini", **({"rules": listed} if listed else {}), **spec}
        ingress = from_dict(Ingress, {"metadata": meta, "spec": spec})
        self.ingresses[ingress.key] = ingress
        return ingress

    def secret(self, name: str, **data: str) -> None:
        values = {key.replace("_", "."): b64encode(value.encode()).decode() for key, value in data.items()}
        self.secrets[f"default/{name}"] = Secret(metadata=ObjectMeta(name=name, namespace="default"), data=values)

    def plan(self) -> Plan:
        classes = [
            IngressClass(metadata=ObjectMeta(name="mini"), spec=IngressClassSpec(controller=CONTROLLER)),
            IngressClass(metadata=ObjectMeta(name="other"), spec=IngressClassSpec(controller="example.com/other")),
        ]
        return make_plan(
            World(
                list(self.ingresses.values()),
                classes,
                self.services.get,
                lambda key: self.slices.get(key, []),
                self.secrets.get,
            )
        )


def backend(service: str) -> dict[str, Any]:
    return {"service": {"name": service, "port": {"name": "http"}}}


def place(folder: str = "/run/ingress", http_port: int = 80, https_port: int = 443) -> Place:
    return Place(folder, ("127.0.0.1",), http_port, https_port, OWN_CERTIFICATE)


def _meta(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "default", "uid": name}
