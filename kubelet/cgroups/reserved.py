"""Holds the system's and the cluster's own daemons to what is reserved for them, in groups that others have made.

Source: Kubernetes documentation, "Reserve Compute Resources for System Daemons"; events and errors as upstream's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from componentbase.daemon import FatalError
from kubelet.cgroups.files import GroupFiles, group_files
from kubelet.cgroups.limits import reserved_limits

PODS, NONE, COMPRESSIBLE = "pods", "none", "-compressible"


@dataclass(frozen=True, slots=True)
class ReservedGroup:
    """`whose`: "system" or "kube"; the group at `path` is to have no more than `amounts`, in base units."""

    whose: str
    path: str
    amounts: Mapping[str, Fraction]


def reserved_groups(
    enforced: Sequence[str], reservations: Mapping[str, tuple[str, Mapping[str, Fraction]]]
) -> tuple[ReservedGroup, ...]:
    """Reads what --enforce-node-allocatable says beside pods. `reservations`: whose -> (path of its group, amounts).

    Raises: ValueError.
    """
    where = "enforceNodeAllocatable (--enforce-node-allocatable)"
    groups = []
    words = [word for whose in reservations for word in (f"{whose}-reserved", f"{whose}-reserved{COMPRESSIBLE}")]
    for value in enforced:
        if value not in (PODS, NONE, *words):
            raise ValueError(f"--enforce-node-allocatable: want {', '.join((PODS, *words))} or {NONE}: {value!r}")
        if value == NONE and len(enforced) > 1:
            raise ValueError(f"--enforce-node-allocatable: {NONE} excludes all others")
        if value in (PODS, NONE):
            continue
        whose = value.partition("-")[0]
        if value.endswith(COMPRESSIBLE) and value.removesuffix(COMPRESSIBLE) in enforced:
            raise ValueError(f'both "{value.removesuffix(COMPRESSIBLE)}" and "{value}" in {where}')
        path, amounts = reservations[whose]
        if not path:
            name = f"{whose}ReservedCgroup (--{whose}-reserved-cgroup)"
            raise ValueError(f'{name} must be specified when "{value}" contained in {where}')
        kept = ("cpu",) if value.endswith(COMPRESSIBLE) else ("cpu", "memory", "pid")
        groups.append(ReservedGroup(whose, path, {name: amounts[name] for name in kept if name in amounts}))
    return tuple(groups)


def enforce_reserved(
    groups: Sequence[ReservedGroup], report: Callable[[str, str, str], None], files: GroupFiles | None = None
) -> None:
    """Writes the limits. `report` takes an event's type, reason and message. Raises: FatalError, also for a group that
    is not there."""
    files = files or group_files()
    for group in groups:
        try:
            files.write(group.path, reserved_limits(group.amounts), others_stay=True)
        except OSError as error:
            # With v1 it need not be in the hierarchies of controllers that are not asked for.
            reason = f'"{group.path}" cgroup does not exist' if isinstance(error, FileNotFoundError) else error
            why = f'Failed to enforce {group.whose.title()} Reserved Cgroup Limits on "{group.path}": {reason}'
            report("Warning", "FailedNodeAllocatableEnforcement", why)
            raise FatalError(why) from None
        report("Normal", "NodeAllocatableEnforced", f"Updated limits on {group.whose} reserved cgroup {group.path}")
