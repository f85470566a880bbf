"""The policy of a namespace: a level of the Pod Security Standards for each mode, read from its labels.

Source: Kubernetes documentation, "Pod Security Admission".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from apimachinery.errors import FieldError, invalid

PRIVILEGED, BASELINE, RESTRICTED = LEVELS = ("privileged", "baseline", "restricted")
"""From the most lenient to the strictest."""
LATEST = "latest"
LABEL_PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
LABELS = tuple(f"{LABEL_PREFIX}{mode}{part}" for mode in MODES for part in ("", "-version"))

MAX_POLICIES = 1024  # label sets whose policies are kept; a cluster uses a handful

_VERSION = re.compile(r"v1\.(0|[1-9][0-9]{0,17})")


class LevelVersion(NamedTuple):
    """A level in the version of one Kubernetes release: "baseline", "v1.24" or "latest"."""

    level: str = PRIVILEGED
    version: str = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"

    @property
    def strictness(self) -> int:
        return LEVELS.index(self.level)


class Policy(NamedTuple):
    enforce: LevelVersion = LevelVersion()
    audit: LevelVersion = LevelVersion()
    warn: LevelVersion = LevelVersion()

    @property
    def is_privileged(self) -> bool:
        """Tells whether no mode asks for anything."""
        return all(item.level == PRIVILEGED for item in self)

    def is_equivalent(self, other: Policy) -> bool:
        """Tells whether both ask for the same; the version of "privileged" makes no difference."""
        return all(
            mine == theirs or mine.level == theirs.level == PRIVILEGED for mine, theirs in zip(self, other, strict=True)
        )


EVERYTHING_ALLOWED = Policy()


def level_error(level: str) -> str:
    """Returns what is wrong with a level; "" if nothing is."""
    return "" if level in LEVELS else f"must be one of {', '.join(LEVELS)}"


def version_error(version: str) -> str:
    """Returns what is wrong with a version; "" if nothing is."""
    return "" if version == LATEST or _VERSION.fullmatch(version) else 'must be "latest" or "v1.x"'


def policy_of(labels: Mapping[str, str], defaults: Policy) -> tuple[Policy, tuple[FieldError, ...]]:
    """Returns the policy that labels of a namespace ask for, and what is wrong with them.

    A mode without labels has its default. A wrong level enforces "restricted" and neither audits nor warns; a wrong
    version is "latest". Who enforces more than is warned of by default is warned of what is enforced.
    """
    return _policy_of(tuple(map(labels.get, LABELS)), defaults)


@lru_cache(maxsize=MAX_POLICIES)
def _policy_of(values: tuple[str | None, ...], defaults: Policy) -> tuple[Policy, tuple[FieldError, ...]]:
    """`values` are those of LABELS."""
    errors: list[FieldError] = []
    policy: dict[str, LevelVersion] = {}
    given = dict(zip(LABELS, values, strict=True))
    for mode, default in zip(MODES, defaults, strict=True):
        label = LABEL_PREFIX + mode
        level, version = given[label], given[f"{label}-version"]
        if level is not None and (why := level_error(level)):
            errors.append(invalid(f"metadata.labels[{label}]", level, why))
            level = RESTRICTED if mode == "enforce" else PRIVILEGED
        if version is not None and (why := version_error(version)):
            errors.append(invalid(f"metadata.labels[{label}-version]", version, why))
            version = LATEST
        policy[mode] = LevelVersion(
            default.level if level is None else level, default.version if version is None else version
        )
    enforce, warn = policy["enforce"], policy["warn"]
    warns, is_valid = given[f"{LABEL_PREFIX}warn"] is not None, given[f"{LABEL_PREFIX}enforce"] in LEVELS
    if not warns and is_valid and enforce.strictness > warn.strictness:
        has_version = given[f"{LABEL_PREFIX}warn-version"] is not None
        policy["warn"] = LevelVersion(enforce.level, warn.version if has_version else enforce.version)
    return Policy(**policy), tuple(errors)
