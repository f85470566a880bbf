"""Reads a KubeletConfiguration file, and shows the configuration in effect as one (/configz).

A field is the flag of the same name, in camel case, so a new flag is a new field. `OTHER_NAMES` has those that upstream
spells otherwise. A flag on the command line wins over the file.

Source: Kubernetes reference, "Kubelet Configuration (v1beta1)".
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from apimachinery.text.yaml import YamlError, read_document
from componentbase.flags import parse_bool, parse_duration, parse_map
from kubelet.eviction.thresholds import parse_thresholds

API_VERSION, KIND = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"
OTHER_NAMES = {
    "--authorization-mode": "authorization.mode",
    "--client-ca-file": "authentication.x509.clientCAFile",
    "--cgroups-per-qos": "cgroupsPerQOS",
    "--cluster-dns": "clusterDNS",
    "--image-gc-high-threshold": "imageGCHighThresholdPercent",
    "--image-gc-low-threshold": "imageGCLowThresholdPercent",
    "--image-maximum-gc-age": "imageMaximumGCAge",
    "--max-container-restart-period": "crashLoopBackOff.maxContainerRestartPeriod",
    "--minimum-image-ttl-duration": "imageMinimumGCAge",
    "--pod-manifest-path": "staticPodPath",
    "--pod-max-pids": "podPidsLimit",
    "--provider-id": "providerID",
    "--registry-qps": "registryPullQPS",
    "--reserved-cpus": "reservedSystemCPUs",
    "--rotate-server-certificates": "serverTLSBootstrap",
    "--tls-private-key-file": "tlsPrivateKeyFile",
    "--v": "logging.verbosity",
}
NOT_IN_FILE = (
    "--help", "--version", "--config", "--kubeconfig", "--bootstrap-kubeconfig", "--hostname-override",
    "--cloud-provider",
)  # fmt: skip


class BadConfiguration(ValueError):
    """The file is not a configuration, or sets what this kubelet does not have."""


@runtime_checkable
class ObjectsFlag(Protocol):
    """The type of a flag whose field is a list of objects."""

    def from_field(self, value: Any) -> str:
        """Writes the field as the command line would. Raises: BadConfiguration."""

    def to_field(self, value: Any) -> list[dict[str, Any]]:
        """Returns the flag's value as the file has it."""


def add_config_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="", metavar="FILE", help="a KubeletConfiguration; flags win over it")


def take_file(parser: argparse.ArgumentParser, argv: list[str] | None) -> None:
    """Makes the file named by --config, if one is, the parser's defaults. Raises: BadConfiguration; OSError."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_config_flag(first)
    path = first.parse_known_args(argv)[0].config
    if path:
        with open(path, "rb") as file:
            parser.set_defaults(**defaults_of(parser, file.read()))


def defaults_of(parser: argparse.ArgumentParser, text: bytes) -> dict[str, str]:
    """Returns the flags' values that the file sets, as the command line would write them. Raises: BadConfiguration."""
    try:
        document = read_document(text).value
    except YamlError as error:
        raise BadConfiguration(str(error)) from None
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise BadConfiguration(f"want kind: {KIND} of apiVersion: {API_VERSION}")
    actions = dict(_fields(parser))
    values: dict[str, str] = {}
    for name, value in _leaves(document, "", frozenset(actions)):
        if name in ("apiVersion", "kind"):
            continue
        if name not in actions:
            raise BadConfiguration(f'strict decoding error: unknown field "{name}"')
        values[actions[name].dest] = _as_flag(actions[name], name, value)
    return values


def shown(parser: argparse.ArgumentParser, args: argparse.Namespace) -> dict[str, Any]:
    """Returns the configuration in effect, as a KubeletConfiguration has it."""
    document: dict[str, Any] = {}
    for name, action in _fields(parser):
        *parents, last = name.split(".")
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _as_field(action, getattr(args, action.dest))
    return document


def _fields(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:  # argparse has no public list of them
        flag = action.option_strings[-1] if action.option_strings else ""
        if flag and flag not in NOT_IN_FILE:
            yield OTHER_NAMES.get(flag) or re.sub(r"-(.)", lambda m: m[1].upper(), flag.removeprefix("--")), action


def _leaves(value: Mapping[str, Any], prefix: str, names: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = prefix + str(key)
        if isinstance(item, dict) and name not in names and any(known.startswith(f"{name}.") for known in names):
            yield from _leaves(item, f"{name}.", names)
        elif item is not None:
            yield name, item


def _as_flag(action: argparse.Action, name: str, value: Any) -> str:
    if (objects := _objects(action)) is not None:
        return objects.from_field(value)
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, dict):
        sign = "<" if action.type is parse_thresholds else "="
        text = ",".join(f"{key}{sign}{item}" for key, item in value.items())
    elif isinstance(value, list):
        text = ",".join(map(str, value))
    else:
        text = str(value)
    if isinstance(value, bool) is not (action.type is parse_bool) or isinstance(value, dict) is not _is_map(action):
        raise BadConfiguration(f"{name}: Invalid value: {value!r}")
    return text


def _objects(action: argparse.Action) -> ObjectsFlag | None:
    kind: object = action.type
    return kind if isinstance(kind, ObjectsFlag) else None


def _is_map(action: argparse.Action) -> bool:
    return action.type in (parse_map, parse_thresholds)


def _as_field(action: argparse.Action, value: Any) -> Any:
    if (objects := _objects(action)) is not None:
        return objects.to_field(value)
    if action.type is parse_duration:
        return f"{value:g}s"
    return value
