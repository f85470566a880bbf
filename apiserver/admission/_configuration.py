"""The file of `--admission-control-config-file`: what it says to each admission plugin.

Source: Kubernetes documentation, "kube-apiserver Admission (v1)" of the configuration APIs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apimachinery.model import Model
from componentbase.configfile import ConfigFileError, decode_config, read_file


class AdmissionPluginConfiguration(Model):
    """The configuration of one plugin, in place or in a file of its own."""

    name: str = ""
    """The plugin's name."""
    path: str | None = None
    """A file with the configuration; relative to the folder of the file that names it."""
    configuration: dict[str, Any] | None = None
    """The configuration itself; it goes before `path`."""


class AdmissionConfiguration(Model):
    """Configurations of admission plugins."""

    plugins: list[AdmissionPluginConfiguration] | None = None
    """One entry for each plugin that has something to configure."""


KINDS = {("apiserver.config.k8s.io/v1", "AdmissionConfiguration"): AdmissionConfiguration}


def read_plugin_configurations(file: str) -> dict[str, Any]:
    """Returns the configuration of each plugin that the file names, as a document.

    Raises: ConfigFileError.
    """
    configurations: dict[str, Any] = {}
    names: set[str] = set()
    for index, plugin in enumerate(decode_config(read_file(file), KINDS).plugins or ()):
        if not plugin.name:
            raise ConfigFileError(f"plugins[{index}].name: Required value")
        if plugin.name in names:
            raise ConfigFileError(f'plugins[{index}].name: Duplicate value: "{plugin.name}"')
        names.add(plugin.name)
        if plugin.configuration is not None:
            configurations[plugin.name] = plugin.configuration
        elif plugin.path:
            try:
                configurations[plugin.name] = read_file(str(Path(file).parent / plugin.path))
            except ConfigFileError as error:
                raise ConfigFileError(f"plugins[{index}].path: {error}") from None
    return configurations
