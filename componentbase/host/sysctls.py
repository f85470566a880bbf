"""Switches on kernel settings of this network namespace."""

from __future__ import annotations

from pathlib import Path

from componentbase import logs

PROC_SYS = Path("/proc/sys")

log = logs.logger(__name__)


def switch_on(setting: tuple[str, str], root: Path = PROC_SYS) -> bool:
    """Sets a setting to 1. Where that fails, warns of the consequence and returns False."""
    name, consequence = setting
    path = root / name
    try:
        if path.read_text().strip() != "1":
            path.write_text("1\n")
    except OSError as error:
        log.warning("sysctl could not be set", name=name, error=error.strerror, consequence=consequence)
        return False
    return True
