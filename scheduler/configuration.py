"""Reads the file of `--config`: KubeSchedulerConfiguration, which says what plugins this scheduler runs and how.

Source: Kubernetes reference, "kube-scheduler Configuration (v1)", and "Scheduler Configuration".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any

from apimachinery.errors import FieldError, duplicate, invalid, not_found
from apimachinery.model import Model
from componentbase.configfile import ConfigFileError, decode_config, read_file, require_valid
from scheduler.framework import PluginSpec, collect_plugins

API_VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"
ENTRY_POINTS = "mini_kubernetes.scheduler_plugins"
"""The entry point group of plugins in other packages; an entry is named like its plugin and is a `PluginSpec`."""
DEFAULT_NAME = "default-scheduler"
ALL = "*"


class Plugin(Model):
    """A plugin of a set."""

    name: str = ""
    """The plugin's name; "*" in `disabled` means all."""
    weight: int | None = None
    """The weight of its score; the plugin's own if it is not set."""


class PluginSet(Model):
    """Changes to the plugins that run by default."""

    enabled: list[Plugin] | None = None
    """The plugins that run as well, and other weights for those that run already."""
    disabled: list[Plugin] | None = None
    """The plugins that don't run."""


class Plugins(Model):
    """Changes to the plugins, at all extension points or at one."""

    multiPoint: PluginSet | None = None
    """At all extension points."""
    score: PluginSet | None = None
    """The plugins whose scores count, and their weights. It wins over `multiPoint`."""


class PluginConfig(Model):
    """The arguments of a plugin."""

    name: str = ""
    """The plugin's name."""
    args: dict[str, Any] | None = None
    """Its arguments, of the kind NAMEArgs."""


class KubeSchedulerProfile(Model):
    """How pods of one `schedulerName` are scheduled."""

    schedulerName: str = DEFAULT_NAME
    """The pods that this scheduler takes."""
    plugins: Plugins | None = None
    """Changes to the plugins."""
    pluginConfig: list[PluginConfig] | None = None
    """Arguments of plugins."""


class KubeSchedulerConfiguration(Model):
    """A scheduler's configuration."""

    profiles: list[KubeSchedulerProfile] | None = None
    """One profile; run another scheduler for each further one."""


KINDS = {(API_VERSION, KIND): KubeSchedulerConfiguration}


@dataclass(frozen=True, slots=True)
class Profile:
    """What a scheduler works by: the `schedulerName` of its pods, and its plugins."""

    name: str
    specs: list[PluginSpec]


def load_profile(file: str) -> Profile:
    """Reads the file; "" stands for the default profile. Raises: ConfigFileError, which names the field."""
    return parse_profile(read_file(file)) if file else Profile(DEFAULT_NAME, collect_plugins())


def parse_profile(document: Any) -> Profile:
    """Raises: ConfigFileError."""
    profiles = decode_config(document, KINDS).profiles or [KubeSchedulerProfile()]
    if len(profiles) > 1:
        require_valid(KIND, [invalid("profiles", len(profiles), "a scheduler has one profile: run one for each")])
    profile, path = profiles[0], "profiles[0]"
    specs = _plugins(profile.plugins or Plugins(), f"{path}.plugins")
    configured = _arguments(profile.pluginConfig or [], specs, f"{path}.pluginConfig")
    return Profile(profile.schedulerName, [replace(spec, args=configured.get(spec.name)) for spec in specs.values()])


def _plugins(plugins: Plugins, path: str) -> dict[str, PluginSpec]:
    """Returns the plugins that run, with their weights. Raises: ConfigFileError."""
    known = {spec.name: spec for spec in collect_plugins()}
    chosen, scores = plugins.multiPoint or PluginSet(), plugins.score or PluginSet()
    off = _names(chosen.disabled)
    running = {} if ALL in off else {name: spec for name, spec in known.items() if name not in off}
    errors = _errors(chosen, f"{path}.multiPoint") + _errors(scores, f"{path}.score")
    for index, item in enumerate(chosen.enabled or ()):
        spec = known.get(item.name) or _foreign(item.name)
        if spec is None:
            errors.append(not_found(f"{path}.multiPoint.enabled[{index}].name", item.name))
        else:
            running[item.name] = _weighted(spec, item.weight)
    silent = _names(scores.disabled)
    weights = {item.name: item.weight for item in scores.enabled or ()}
    for index, name in enumerate(weights):
        if name not in running:
            errors.append(invalid(f"{path}.score.enabled[{index}].name", name, "it is not enabled at multiPoint"))
    require_valid(KIND, errors)
    for name, spec in running.items():
        if name in weights:
            running[name] = _weighted(spec, weights[name])
        elif name in silent or ALL in silent:
            running[name] = replace(spec, weight=0)
    return running


def _names(items: list[Plugin] | None) -> set[str]:
    return {item.name for item in items or ()}


def _weighted(spec: PluginSpec, weight: int | None) -> PluginSpec:
    return replace(spec, weight=weight) if weight else spec


def _errors(plugins: PluginSet, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, item in enumerate(plugins.enabled or ()):
        where = f"{path}.enabled[{index}]"
        if item.name in seen:
            errors.append(duplicate(f"{where}.name", item.name))
        seen.add(item.name)
        if item.weight is not None and item.weight < 0:
            errors.append(invalid(f"{where}.weight", item.weight, "must be greater than or equal to 0"))
    return errors


def _foreign(name: str) -> PluginSpec | None:
    """Loads a plugin of another package. Raises: ConfigFileError for an entry that is not a plugin of that name."""
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        spec = entry.load()
        if not isinstance(spec, PluginSpec) or spec.name != name:
            raise ConfigFileError(f"entry point {entry.value} of {ENTRY_POINTS} must be the PluginSpec of {name}")
        return spec
    return None


def _arguments(items: list[PluginConfig], specs: Mapping[str, PluginSpec], path: str) -> dict[str, Model]:
    """Decodes each plugin's arguments with its own model. Raises: ConfigFileError."""
    arguments: dict[str, Model] = {}
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        if item.name in arguments:
            require_valid(KIND, [duplicate(f"{where}.name", item.name)])
        spec = specs.get(item.name)
        if spec is None:
            require_valid(KIND, [not_found(f"{where}.name", item.name)])
        elif spec.arguments is None:
            require_valid(KIND, [invalid(f"{where}.name", item.name, "this plugin takes no arguments")])
        else:
            kind = f"{item.name}Args"
            document = {"apiVersion": API_VERSION, "kind": kind} | (item.args or {})
            try:
                arguments[item.name] = decode_config(document, {(API_VERSION, kind): spec.arguments})
            except ConfigFileError as error:
                raise ConfigFileError(f"{where}.args: {error}") from None
    return arguments
