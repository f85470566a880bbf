"""What the server adds to an object as it stores it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apimachinery.times import parse_time
from apiserver.registry.hooks import VolumeHooks
from kubeapi.core.persistentvolume.resource import RESOURCE as VOLUMES
from tests.fakes.clock import FakeClock
from tests.kits.kinds import A_DAY_AGO, AN_HOUR_AGO, FIVE_MINUTES_AGO, load


def volume(phase: str, time: str | None) -> Any:
    status = {"phase": phase, "lastPhaseTransitionTime": time}
    return load(VOLUMES, {"metadata": {"name": "v"}, "status": {key: value for key, value in status.items() if value}})


@pytest.mark.parametrize(
    ("phase", "sent", "stored"),
    [
        ("Available", None, A_DAY_AGO),
        ("Available", AN_HOUR_AGO, AN_HOUR_AGO),
        ("Bound", None, FIVE_MINUTES_AGO),
        ("Bound", A_DAY_AGO, FIVE_MINUTES_AGO),
        ("Bound", AN_HOUR_AGO, AN_HOUR_AGO),
    ],
)
def test_a_volume_tells_when_its_phase_changed(phase: str, sent: str | None, stored: str) -> None:
    new, old = volume(phase, sent), volume("Available", A_DAY_AGO)
    VOLUMES.strategy.prepare_status_update(new, old)
    asyncio.run(VolumeHooks(FakeClock(parse_time(FIVE_MINUTES_AGO))).begin_update(new, old, dry_run=False))
    assert new.status.lastPhaseTransitionTime == stored
