"""Reads the file of `--config`, and says by name which field can't be followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apimachinery.errors import FieldError, duplicate, invalid, not_supported, required
from apimachinery.text.durations import parse_duration
from componentbase.configfile import decode_config, read_file, require_valid
from scheduler.configuration.model import (
    KIND,
    KINDS,
    ClientConnectionConfiguration,
    KubeSchedulerConfiguration,
    KubeSchedulerProfile,
    LeaderElectionConfiguration,
    Plugins,
)
from scheduler.configuration.plugins import plugin_arguments, running_plugins
from scheduler.extenders.model import Extender, extender_errors
from scheduler.extenders.plugin import extenders_spec, ignoring
from scheduler.framework import PluginSpec, collect_plugins

DEFAULT_NAME = "default-scheduler"


@dataclass(frozen=True, slots=True)
class Profile:
    """Says how pods of one `schedulerName` are scheduled."""

    name: str
    specs: Sequence[PluginSpec]
    points: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The method of an extension point -> the names of those that run there, in order; where it lacks one, all do."""
    percentage: int = 0
    """The share of nodes that is enough to choose from; 0 for all."""

    def without(self, plugin: str) -> Profile:
        specs = [spec for spec in self.specs if spec.name != plugin]
        points = {point: [name for name in names if name != plugin] for point, names in self.points.items()}
        return replace(self, specs=specs, points=points)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Holds all that a file, or the defaults, tell a scheduler."""

    profiles: Sequence[Profile]
    first_backoff_seconds: float = 1.0
    max_backoff_seconds: float = 10.0
    requests_per_second: float = 0.0
    """What the API server may be asked; 0 for any number."""
    burst: int = 100
    flags: Mapping[str, Any] = field(default_factory=dict)
    """Flags, as attributes of their namespace, to which it gives other defaults."""


def default_configuration() -> Configuration:
    return Configuration([Profile(DEFAULT_NAME, collect_plugins())])


def load_configuration(file: str) -> Configuration:
    """Reads the file; "" stands for the defaults. Raises: ConfigFileError, which names the field."""
    return parse_configuration(read_file(file)) if file else default_configuration()


def parse_configuration(document: Any) -> Configuration:
    """Raises: ConfigFileError."""
    config = decode_config(document, KINDS)
    errors: list[FieldError] = []
    first, longest = _backoff(config, errors)
    _check_percentage("percentageOfNodesToScore", config.percentageOfNodesToScore, errors)
    if config.parallelism is not None and config.parallelism <= 0:
        errors.append(invalid("parallelism", config.parallelism, "must be greater than 0"))
    flags = _flags(config, errors)
    connection = config.clientConnection or ClientConnectionConfiguration()
    if connection.burst is not None and connection.burst < 0:
        errors.append(invalid("clientConnection.burst", connection.burst, "must be non-negative"))
    errors += extender_errors(config.extenders or [])
    profiles = _profiles(config, errors)
    require_valid(KIND, errors)
    return Configuration(profiles, first, longest, max(connection.qps or 0.0, 0.0), connection.burst or 100, flags)


def _backoff(config: KubeSchedulerConfiguration, errors: list[FieldError]) -> tuple[float, float]:
    first = 1 if config.podInitialBackoffSeconds is None else config.podInitialBackoffSeconds
    longest = 10 if config.podMaxBackoffSeconds is None else config.podMaxBackoffSeconds
    if first <= 0:
        errors.append(invalid("podInitialBackoffSeconds", first, "must be greater than 0"))
    if longest < first:
        errors.append(
            invalid("podMaxBackoffSeconds", longest, "must be greater than or equal to PodInitialBackoffSeconds")
        )
    return float(first), float(longest)


def _check_percentage(path: str, value: int | None, errors: list[FieldError]) -> None:
    if value is not None and not 0 <= value <= 100:
        errors.append(invalid(path, value, "not in valid range [0-100]"))


def _flags(config: KubeSchedulerConfiguration, errors: list[FieldError]) -> dict[str, Any]:
    election = config.leaderElection or LeaderElectionConfiguration()
    flags: dict[str, Any] = {
        "kubeconfig": config.clientConnection.kubeconfig if config.clientConnection else None,
        "leader_elect": election.leaderElect,
        "leader_elect_resource_name": election.resourceName,
        "leader_elect_resource_namespace": election.resourceNamespace,
    }
    for name, flag in (
        ("leaseDuration", "leader_elect_lease_duration"),
        ("renewDeadline", "leader_elect_renew_deadline"),
        ("retryPeriod", "leader_elect_retry_period"),
    ):
        text = getattr(election, name)
        try:
            flags[flag] = None if text is None else parse_duration(text)
        except ValueError as error:
            errors.append(invalid(f"leaderElection.{name}", text, str(error)))
    if election.resourceLock not in (None, "leases"):
        errors.append(not_supported("leaderElection.resourceLock", election.resourceLock, ["leases"]))
    return {flag: value for flag, value in flags.items() if value is not None}


def _profiles(config: KubeSchedulerConfiguration, errors: list[FieldError]) -> list[Profile]:
    items = config.profiles or [KubeSchedulerProfile()]
    profiles: list[Profile] = []
    for index, item in enumerate(items):
        path = f"profiles[{index}]"
        name = item.schedulerName or (DEFAULT_NAME if len(items) == 1 and item.schedulerName is None else "")
        if not name:
            errors.append(required(f"{path}.schedulerName"))
        if name in [profile.name for profile in profiles]:
            errors.append(duplicate(f"{path}.schedulerName", name))
        _check_percentage(f"{path}.percentageOfNodesToScore", item.percentageOfNodesToScore, errors)
        share = item.percentageOfNodesToScore
        share = config.percentageOfNodesToScore if share is None else share
        running = running_plugins(item.plugins or Plugins(), f"{path}.plugins", errors)
        arguments = plugin_arguments(item.pluginConfig or [], running.specs, f"{path}.pluginConfig", errors)
        specs = [replace(spec, args=arguments.get(spec.name)) for spec in running.specs.values()]
        profiles.append(_extended(Profile(name, specs, running.points, share or 0), config.extenders or []))
    return profiles


def _extended(profile: Profile, extenders: list[Extender]) -> Profile:
    """Adds the extenders as a plugin: the first that may bind, else the last, after those that decide what is asked."""
    if not extenders:
        return profile
    spec = extenders_spec(extenders)
    specs = [spec, *(ignoring(item, extenders) for item in profile.specs)]
    points = {
        point: (spec.name, *names) if point == "bind" else (*names, spec.name)
        for point, names in profile.points.items()
    }
    return replace(profile, specs=specs, points=points)
