"""A violation of the Pod Security Standards, and the words that its checks share.

Reasons and details are upstream's, as clients and people search for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from kubeapi.core.pod.spec import PodSpec


class Violation(NamedTuple):
    """`reason` names the rule that is broken, `detail` the place."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})"


Annotations = Mapping[str, str]
CheckFunction = Callable[[Annotations, PodSpec], Violation | None]


def plural(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def quoted(names: Iterable[str]) -> str:
    """["a", "b"] -> '"a", "b"'."""
    return ", ".join(f'"{name}"' for name in names)


def containers_text(names: Sequence[str]) -> str:
    """["a", "b"] -> 'containers "a", "b"'."""
    return f"{plural(len(names), 'container', 'containers')} {quoted(names)}"


def setters_text(by_pod: bool, names: Sequence[str]) -> str:
    """Names who sets a field: 'pod and container "a"'; "" for nobody."""
    return " and ".join([*(["pod"] if by_pod else []), *([containers_text(names)] if names else [])])
