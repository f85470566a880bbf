"""Works out which plugins run at which extension points, and with which weights and arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points

from apimachinery.errors import FieldError, duplicate, invalid, not_found
from componentbase.configfile import ConfigFileError, decode_config
from scheduler.configuration.model import ALL, API_VERSION, PluginConfig, Plugins, PluginSet
from scheduler.framework import POINTS, Plugin, PluginArguments, PluginSpec, collect_plugins, extends

ENTRY_POINTS = "mini_kubernetes.scheduler_plugins"
"""The entry point group of plugins in other packages; an entry is named like its plugin and is a `PluginSpec`."""


@dataclass(slots=True)
class RunningPlugins:
    """Holds the plugins of a profile."""

    specs: dict[str, PluginSpec] = field(default_factory=dict)
    points: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The method of an extension point -> the names of those that run there, in order."""


def running_plugins(plugins: Plugins, path: str, errors: list[FieldError]) -> RunningPlugins:
    """Adds what is wrong to `errors`. Raises: ConfigFileError for an entry point that is not a plugin.

    At a point, the plugins that its own set enables and that run everywhere come first, in the set's order; then the
    others that run everywhere, by `order` of their specs; then those that run only there.
    """
    catalogue = _Catalogue(errors)
    everywhere = _everywhere(plugins.multiPoint or PluginSet(), f"{path}.multiPoint", catalogue)
    running = RunningPlugins({spec.name: spec for spec in sorted(everywhere, key=lambda item: (item.order, item.name))})
    names = list(running.specs)
    for wire, method in POINTS.items():
        chosen = getattr(plugins, wire) or PluginSet()
        off = _disabled(chosen)
        own = catalogue.enabled(chosen, f"{path}.{wire}", running.specs, method)
        rest = [] if ALL in off else [name for name in names if name not in off and name not in own]
        first, last = [name for name in own if name in names], [name for name in own if name not in names]
        running.points[method] = (*first, *rest, *last)
        for name, spec in own.items():
            at_score = method == "score"
            running.specs[name] = replace(spec, weight=spec.weight or 1) if at_score else running.specs.get(name, spec)
    return running


def _everywhere(chosen: PluginSet, path: str, catalogue: _Catalogue) -> Iterable[PluginSpec]:
    off = _disabled(chosen)
    running = {} if ALL in off else {name: spec for name, spec in catalogue.specs.items() if name not in off}
    return (running | catalogue.enabled(chosen, path, {}, "")).values()


def _disabled(chosen: PluginSet) -> set[str]:
    return {item.name for item in chosen.disabled or ()}


class _Catalogue:
    """Finds plugins, and notes what is wrong with the sets that name them."""

    def __init__(self, errors: list[FieldError]) -> None:
        self.specs = {spec.name: spec for spec in collect_plugins()}
        self._errors = errors

    def enabled(
        self, chosen: PluginSet, path: str, running: Mapping[str, PluginSpec], method: str
    ) -> dict[str, PluginSpec]:
        """Returns the plugins that a set enables, with its weights; `method` is "" for the set of all points."""
        enabled: dict[str, PluginSpec] = {}
        for index, item in enumerate(chosen.enabled or ()):
            where = f"{path}.enabled[{index}]"
            spec = running.get(item.name) or self.specs.get(item.name) or _foreign(item.name)
            if item.name in enabled:
                self._errors.append(duplicate(f"{where}.name", item.name))
            elif spec is None:
                self._errors.append(not_found(f"{where}.name", item.name))
            elif method and isinstance(spec.factory, type) and not _takes_part(spec.factory, method):
                self._errors.append(invalid(f"{where}.name", item.name, "has nothing to do at this extension point"))
            elif item.weight is not None and item.weight < 0:
                self._errors.append(invalid(f"{where}.weight", item.weight, "must be greater than or equal to 0"))
            else:
                enabled[item.name] = replace(spec, weight=item.weight) if item.weight else spec
        return enabled


def _takes_part(plugin: type, method: str) -> bool:
    return issubclass(plugin, Plugin) and extends(plugin, method)


def _foreign(name: str) -> PluginSpec | None:
    """Loads a plugin of another package. Raises: ConfigFileError for an entry that is not a plugin of that name."""
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        spec = entry.load()
        if not isinstance(spec, PluginSpec) or spec.name != name:
            raise ConfigFileError(f"entry point {entry.value} of {ENTRY_POINTS} must be the PluginSpec of {name}")
        return spec
    return None


def plugin_arguments(
    items: list[PluginConfig], specs: Mapping[str, PluginSpec], path: str, errors: list[FieldError]
) -> dict[str, PluginArguments]:
    """Decodes each plugin's arguments with its own model, and adds what is wrong with their values to `errors`.

    Raises: ConfigFileError for what is not of that model.
    """
    arguments: dict[str, PluginArguments] = {}
    for index, item in enumerate(items):
        where, spec = f"{path}[{index}]", specs.get(item.name)
        if item.name in arguments:
            errors.append(duplicate(f"{where}.name", item.name))
        elif spec is None:
            errors.append(not_found(f"{where}.name", item.name))
        elif spec.arguments is None:
            errors.append(invalid(f"{where}.name", item.name, "this plugin takes no arguments"))
        else:
            kind = f"{item.name}Args"
            document = {"apiVersion": API_VERSION, "kind": kind} | (item.args or {})
            try:
                decoded = decode_config(document, {(API_VERSION, kind): spec.arguments})
            except ConfigFileError as error:
                raise ConfigFileError(f"{where}.args: {error}") from None
            errors += [replace(error, field=f"{where}.args.{error.field}") for error in decoded.errors()]
            arguments[item.name] = decoded
    return arguments
