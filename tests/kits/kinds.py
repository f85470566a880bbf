"""What tests of kinds share: objects as the API server sees them, their errors and their table rows as text."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from apimachinery.model import from_dict
from apimachinery.resource import Resource

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
FIVE_MINUTES_AGO = "2027-01-15T07:55:00Z"
AN_HOUR_AGO = "2027-01-15T07:00:00Z"
A_DAY_AGO = "2027-01-14T08:00:00Z"


def load(resource: Resource[Any], document: dict[str, Any]) -> Any:
    """The object as a request's body becomes one: decoded, with its defaults."""
    obj = from_dict(resource.model, document)
    resource.strategy.default(obj)
    return obj


def created(resource: Resource[Any], document: dict[str, Any]) -> Any:
    obj = load(resource, document)
    resource.strategy.prepare_create(obj)
    return obj


def problems(resource: Resource[Any], document: dict[str, Any]) -> list[str]:
    """The errors of a create, as "path: message"."""
    return [str(error) for error in resource.strategy.validate_create(created(resource, document))]


def update_problems(resource: Resource[Any], old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, after = load(resource, old), load(resource, new)
    resource.strategy.prepare_update(after, before)
    errors = resource.strategy.validate(after) + resource.strategy.validate_update(after, before)
    return [str(error) for error in errors]


def status_problems(resource: Resource[Any], old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, after = load(resource, old), load(resource, new)
    resource.strategy.prepare_status_update(after, before)
    return [str(error) for error in resource.strategy.validate_status_update(after, before)]


def row(resource: Resource[Any], document: dict[str, Any], *, now: float = NOW) -> dict[str, object]:
    """Column name -> cell, wide ones too."""
    obj = load(resource, document)
    return {column.name: column.value(obj, now) for column in resource.columns}


def headers(resource: Resource[Any], *, wide: bool) -> list[str]:
    """Only what `-o wide` adds, or only what shows without."""
    return [column.name for column in resource.columns if bool(column.priority) is wide]


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`base` with `change` laid over it; None removes."""
    result = deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = deepcopy(value)
    return result


def pod(spec: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    base = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    }
    return merged(merged(base, {"spec": spec or {}}), top)


def container(**fields: Any) -> dict[str, Any]:
    """A pod's document whose only container has these fields."""
    return pod({"containers": [merged({"name": "app", "image": "app:1"}, fields)]})
