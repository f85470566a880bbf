"""Table cells that several kinds show alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apimachinery.meta import LabelSelector, Object
from apimachinery.resource import Column
from apimachinery.selectors import selector_of
from apimachinery.times import human_duration, parse_time

UNKNOWN = "<unknown>"
NONE = "<none>"


def since(time: str | None, now: float) -> str:
    """The time since then, such as "5m"; "<unknown>" without a time."""
    return human_duration(now - parse_time(time)) if time else UNKNOWN


def age(obj: Object, now: float) -> str:
    return since(obj.metadata.creationTimestamp, now)


def label_text(labels: Mapping[str, str] | None) -> str:
    """ "a=1,b=2", sorted by key; "<none>" without labels."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) if labels else NONE


def selector_text(selector: LabelSelector | None) -> str:
    """ "a=1,b in (x,y)", sorted by key; "<none>" for an empty one."""
    requirements = sorted(selector_of(selector).requirements, key=lambda requirement: requirement.key)
    return listed(map(str, requirements))


def listed(items: Iterable[str]) -> str:
    return ",".join(items) or NONE


def first_few(items: list[str], empty: str, *, limit: int = 3, between: str = ",") -> str:
    """The first `limit` items, joined: "a,b,c + 2 more..."."""
    text = between.join(items[:limit])
    return (f"{text} + {len(items) - limit} more..." if len(items) > limit else text) or empty


NAME = Column(
    "Name",
    lambda obj, now: obj.name,
    "Name must be unique within a namespace. It is the last part of the object's path.",
    format="name",
)
AGE = Column("Age", age, "How long ago the object was created.")
