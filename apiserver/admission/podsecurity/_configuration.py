"""PodSecurityConfiguration: the policy of namespaces without labels, and who is exempt from every policy.

Source: Kubernetes documentation, "Enforce Pod Security Standards by Configuring the Built-in Admission Controller".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from apimachinery.errors import FieldError, duplicate, invalid, required
from apimachinery.model import Model
from apimachinery.names import dns_label_errors, dns_subdomain_errors
from apiserver.admission.podsecurity._policy import (
    EVERYTHING_ALLOWED,
    LATEST,
    MODES,
    PRIVILEGED,
    LevelVersion,
    Policy,
    level_error,
    version_error,
)
from componentbase.configfile import decode_config, require_valid

KIND = "PodSecurityConfiguration"


class PodSecurityExemptions(Model):
    """Requests that no policy looks at."""

    usernames: list[str] | None = None
    """Users whose own pods and workloads are exempt; the pods of a workload are created by a controller."""
    namespaces: list[str] | None = None
    """Namespaces that are exempt."""
    runtimeClasses: list[str] | None = None
    """Runtime classes whose pods are exempt."""


class PodSecurityConfiguration(Model):
    """The configuration as it stands in the file."""

    defaults: dict[str, str] = Field(default_factory=dict)
    """The policy of namespaces without labels: enforce, audit and warn, and the version of each ("enforce-version")."""
    exemptions: PodSecurityExemptions = Field(default_factory=PodSecurityExemptions)
    """Who is exempt."""


KINDS = {("pod-security.admission.config.k8s.io/v1", KIND): PodSecurityConfiguration}


@dataclass(frozen=True)
class Settings:
    defaults: Policy = EVERYTHING_ALLOWED
    usernames: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


def read_settings(document: Any) -> Settings:
    """Raises: ConfigFileError."""
    config = decode_config(document, KINDS)
    exempt = config.exemptions
    require_valid(KIND, _errors(config))
    levels = {
        mode: LevelVersion(config.defaults.get(mode) or PRIVILEGED, config.defaults.get(f"{mode}-version") or LATEST)
        for mode in MODES
    }
    return Settings(
        Policy(**levels),
        frozenset(exempt.usernames or ()),
        frozenset(exempt.namespaces or ()),
        frozenset(exempt.runtimeClasses or ()),
    )


def _errors(config: PodSecurityConfiguration) -> list[FieldError]:
    errors: list[FieldError] = []
    checks = {**dict.fromkeys(MODES, level_error), **{f"{mode}-version": version_error for mode in MODES}}
    for name, value in config.defaults.items():
        if name not in checks:
            errors.append(invalid(f"defaults.{name}", value, f"must be one of {', '.join(checks)}"))
        elif value and (why := checks[name](value)):
            errors.append(invalid(f"defaults.{name}", value, why))
    exempt = config.exemptions
    errors += _list_errors("namespaces", exempt.namespaces or (), dns_label_errors)
    errors += _list_errors("runtimeClasses", exempt.runtimeClasses or (), dns_subdomain_errors)
    return errors + _list_errors("usernames", exempt.usernames or (), lambda name: [])


def _list_errors(field: str, names: Iterable[str], check: Callable[[str], list[str]]) -> list[FieldError]:
    errors: list[FieldError] = []
    earlier: set[str] = set()
    for index, name in enumerate(names):
        path = f"exemptions.{field}[{index}]"
        if not name:
            errors.append(required(path))
        elif why := check(name):
            errors.append(invalid(path, name, ", ".join(why)))
        elif name in earlier:
            errors.append(duplicate(path, name))
        earlier.add(name)
    return errors
