"""Lists of CNI plugins, as an administrator puts them into a folder. Pure, but for reading it.

Source: Container Network Interface specification 1.0, sections 1 and 3.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubelet.network.plug import PlugError
from kubelet.runtime.configs import NO_LIMITS, Bandwidth, PortMapping
from kubelet.runtime.network import NetworkRequest

LIST_SUFFIX, SUFFIXES = ".conflist", (".conf", ".conflist", ".json")
VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0")
CHECKED_SINCE = VERSIONS.index("0.4.0")
MOST_BURST_BITS = 2**31 - 1

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PluginList:
    """One network: `document` is the list as its file has it."""

    document: Json

    @property
    def name(self) -> str:
        return str(self.document["name"])

    @property
    def version(self) -> str:
        return str(self.document["cniVersion"])

    @property
    def plugins(self) -> list[Json]:
        return list(self.document["plugins"])

    @property
    def checks(self) -> bool:
        """Tells whether its plugins can be asked whether all is as they made it."""
        return not self.document.get("disableCheck") and VERSIONS.index(self.version) >= CHECKED_SINCE

    def offers(self, capability: str) -> bool:
        return any((plugin.get("capabilities") or {}).get(capability) for plugin in self.plugins)

    def plugin_config(self, plugin: Json, capabilities: Json, previous: Json | None) -> dict[str, Any]:
        """Returns what a plugin gets on its standard input."""
        config = {key: value for key, value in plugin.items() if key != "capabilities"}
        config |= {"cniVersion": self.version, "name": self.name}
        wanted = plugin.get("capabilities") or {}
        if runtime := {key: value for key, value in capabilities.items() if wanted.get(key)}:
            config["runtimeConfig"] = runtime
        return config | ({"prevResult": previous} if previous else {})


def load_list(folder: str) -> PluginList:
    """Reads the first file of the folder, by name, that is a network. Raises: PlugError when there is none."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIXES))
    except OSError as error:
        raise PlugError(f"cni config load failed: {folder}: {error.strerror}") from None
    wrong: list[str] = []
    for name in names:
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                return parse_list(json.load(file), whole=name.endswith(LIST_SUFFIX))
        except (OSError, ValueError, PlugError) as error:
            wrong.append(f"{name}: {error}")
    raise PlugError("; ".join(wrong) or f"cni config load failed: no network config found in {folder}")


def parse_list(document: Any, *, whole: bool) -> PluginList:
    """Reads a list of plugins, or without `whole` one plugin as a list of its own. Raises: PlugError."""
    if not isinstance(document, dict):
        raise PlugError("not an object")
    if not whole:
        document = {key: document.get(key) for key in ("cniVersion", "name")} | {"plugins": [document]}
    version, plugins = document.get("cniVersion") or "", document.get("plugins")
    if version not in VERSIONS:
        raise PlugError(f"cniVersion {version!r} is none of {', '.join(VERSIONS)}")
    if not document.get("name"):
        raise PlugError("the network has no name")
    if not isinstance(plugins, list) or not plugins:
        raise PlugError("no plugins in list")
    for plugin in plugins:
        kind = plugin.get("type") if isinstance(plugin, dict) else None
        if not isinstance(kind, str) or not kind or "/" in kind:
            raise PlugError(f"a plugin has the type {kind!r}, which is not the name of a program")
    return PluginList(document)


def capabilities(request: NetworkRequest, ranges: Iterable[str]) -> dict[str, Any]:
    """Returns what plugins are told of a pod, if they ask for it by the capability's name."""
    told: dict[str, Any] = {}
    if request.ports:
        told["portMappings"] = [_port_mapping(port) for port in request.ports]
    if request.bandwidth != NO_LIMITS:
        told["bandwidth"] = _limits(request.bandwidth)
    if sets := [[{"subnet": cidr}] for cidr in ranges]:
        told["ipRanges"] = sets
    return told


def _port_mapping(port: PortMapping) -> dict[str, Any]:
    host = {"hostIP": port.host_ip} if port.host_ip else {}
    return {
        "hostPort": port.host_port, "containerPort": port.container_port, "protocol": port.protocol.lower(), **host
    }  # fmt: skip


def _limits(bandwidth: Bandwidth) -> dict[str, int]:
    limits: dict[str, int] = {}
    for name, bits in (("ingress", bandwidth.ingress), ("egress", bandwidth.egress)):
        if bits:
            limits |= {f"{name}Rate": bits, f"{name}Burst": min(bits, MOST_BURST_BITS)}
    return limits


def result_addresses(result: Json) -> tuple[str, ...]:
    """Returns the pod's addresses without their prefix lengths. Raises: PlugError when there are none."""
    try:
        addresses = tuple(str(item["address"]).partition("/")[0] for item in result.get("ips") or ())
    except (TypeError, KeyError):
        raise PlugError("the plugins' result can't be read") from None
    if not addresses:
        raise PlugError("the plugins gave no address")
    return addresses
