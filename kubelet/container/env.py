"""The environment of a container, from its spec, the objects it refers to and the Services it may see. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from componentbase.net.authority import join_host_port
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.pod.env import ConfigMapKeySelector, EnvFromSource, EnvVar, SecretKeySelector
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubeapi.core.secret.model import Secret
from kubeapi.core.service.headless import HEADLESS
from kubeapi.core.service.model import Service, ServicePort
from kubelet.container.downward import FieldError, NodeFacts, field_value, resource_value

MASTER_SERVICE = ("default", "kubernetes")
"""Every container learns of this Service, whatever its namespace and `enableServiceLinks`."""


class ConfigError(Exception):
    """The container cannot be created as its spec says: the message of CreateContainerConfigError."""


class ObjectLookup(Protocol):
    """ConfigMaps and Secrets that the pod refers to; None for one that does not exist."""

    def config_map(self, namespace: str, name: str) -> ConfigMap | None: ...

    def secret(self, namespace: str, name: str) -> Secret | None: ...


class ServiceLookup(Protocol):
    """The Services of the cluster."""

    def list(self) -> Iterable[Service]: ...


@dataclass(frozen=True, slots=True)
class EnvContext:
    """Everything outside a container's own spec that its environment may show."""

    pod: Pod
    node: NodeFacts
    objects: ObjectLookup
    services: tuple[Service, ...] = ()
    pod_ips: tuple[str, ...] = ()


def make_environment(container: Container, context: EnvContext) -> dict[str, str]:
    """Service variables, then `envFrom`, then `env`: later ones win and may refer to earlier ones.

    Every key of an `envFrom` object becomes a variable: keys have no "=", and all else may be in a name.
    Raises: ConfigError when something the spec refers to is missing and not optional.
    """
    pod = context.pod
    links = pod.spec.enableServiceLinks is not False
    services = service_variables(context.services, pod.namespace, links=links)
    result: dict[str, str] = {}
    for source in container.envFrom or ():
        data = _source_data(source, context)
        result |= {(source.prefix or "") + key: data[key] for key in sorted(data)}
    for variable in container.env or ():
        value = _value(variable, {**services, **result}, container, context)
        if value is not None:
            result[variable.name] = value
    return {**{name: value for name, value in services.items() if name not in result}, **result}


def _source_data(source: EnvFromSource, context: EnvContext) -> Mapping[str, str]:
    namespace, objects = context.pod.namespace, context.objects
    if (ref := source.configMapRef) is not None:
        return _data(ref, objects.config_map(namespace, ref.name), "ConfigMap") or {}
    if (secret := source.secretRef) is not None:
        data = _data(secret, objects.secret(namespace, secret.name), "Secret") or {}
        return {key: _text(value, secret.name, key) for key, value in data.items()}
    return {}


def _value(variable: EnvVar, variables: Mapping[str, str], container: Container, context: EnvContext) -> str | None:
    """Returns the variable's value; None leaves it out, for an optional reference to what does not exist."""
    if variable.valueFrom is None:
        return expand(variable.value or "", variables)
    source, pod, objects = variable.valueFrom, context.pod, context.objects
    try:
        if source.fieldRef is not None:
            return field_value(pod, source.fieldRef.fieldPath, context.node, context.pod_ips)
        if source.resourceFieldRef is not None:
            return resource_value(pod, container, source.resourceFieldRef, context.node)
    except FieldError as error:
        raise ConfigError(str(error)) from None
    if (ref := source.configMapKeyRef) is not None:
        return _entry(ref, objects.config_map(pod.namespace, ref.name), "ConfigMap", pod.namespace)
    if (secret := source.secretKeyRef) is not None:
        encoded = _entry(secret, objects.secret(pod.namespace, secret.name), "Secret", pod.namespace)
        return None if encoded is None else _text(encoded, secret.name, secret.key)
    raise ConfigError(f"environment variable {variable.name}: this source of a value is not supported")


class _Reference(Protocol):
    """A reference to an object, which may be missing where it is optional."""

    name: str
    optional: bool | None


def _data(reference: _Reference, obj: ConfigMap | Secret | None, kind: str) -> Mapping[str, str] | None:
    """Returns the object's data; None where an optional object is missing. Raises: ConfigError for another one."""
    if obj is None and not reference.optional:
        raise ConfigError(f'{kind.lower()} "{reference.name}" not found')
    return None if obj is None else obj.data or {}


def _entry(
    reference: ConfigMapKeySelector | SecretKeySelector, obj: ConfigMap | Secret | None, kind: str, namespace: str
) -> str | None:
    """Returns the value of the key; None where an optional one is missing. Raises: ConfigError for another one."""
    data = _data(reference, obj, kind)
    if data is None:
        return None
    if reference.key not in data and not reference.optional:
        raise ConfigError(f"couldn't find key {reference.key} in {kind} {namespace}/{reference.name}")
    return data.get(reference.key)


def _text(encoded: str, name: str, key: str) -> str:
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ConfigError(f'secret "{name}": the value of key {key} is not text') from None


def service_variables(services: Iterable[Service], namespace: str, *, links: bool) -> dict[str, str]:
    """The variables of the Services of `namespace` (with `links`) and of the API's own.

    Source: Kubernetes' "Service" page, "Environment variables": {NAME}_SERVICE_HOST and _PORT, and the variables that
    Docker's container links once defined.
    """
    chosen: dict[str, Service] = {}
    for service in services:
        spec = service.spec
        if spec is None or not spec.clusterIP or spec.clusterIP == HEADLESS or not spec.ports:
            continue
        if links and service.namespace == namespace:
            chosen[service.name] = service
        elif (service.namespace, service.name) == MASTER_SERVICE:
            chosen.setdefault(service.name, service)
    variables: dict[str, str] = {}
    for name in sorted(chosen):
        spec = chosen[name].spec
        prefix = name.upper().replace("-", "_")
        variables[f"{prefix}_SERVICE_HOST"] = spec.clusterIP or ""
        variables[f"{prefix}_SERVICE_PORT"] = str((spec.ports or [])[0].port)
        for port in spec.ports or ():
            if port.name:
                variables[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        for index, port in enumerate(spec.ports or ()):
            variables |= _link_variables(prefix, spec.clusterIP or "", port, first=index == 0)
    return variables


def _link_variables(prefix: str, ip: str, port: ServicePort, *, first: bool) -> dict[str, str]:
    protocol = port.protocol or "TCP"
    url = f"{protocol.lower()}://{join_host_port(ip, port.port)}"
    base = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
    variables = {f"{prefix}_PORT": url} if first else {}
    return variables | {
        base: url,
        f"{base}_PROTO": protocol.lower(),
        f"{base}_PORT": str(port.port),
        f"{base}_ADDR": ip,
    }


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replaces each `$(NAME)` that `values` knows; unknown references stay as they are, and `$$` is a plain `$`.

    Source: Kubernetes API, `Container.command`: "$$(NAME)" is never expanded and yields "$(NAME)".
    """
    if "$" not in text:
        return text
    parts: list[str] = []
    position = 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0 or dollar + 1 == len(text):
            parts.append(text[position:])
            return "".join(parts)
        parts.append(text[position:dollar])
        following = text[dollar + 1]
        if following == "$":
            parts.append("$")
            position = dollar + 2
        elif following == "(":
            end = text.find(")", dollar + 2)
            if end < 0:
                parts.append("$(")
                position = dollar + 2
                continue
            name = text[dollar + 2 : end]
            parts.append(values.get(name, f"$({name})"))
            position = end + 1
        else:
            parts.append(text[dollar : dollar + 2])
            position = dollar + 2
