"""The API server and the controllers do as the original did; what they don't yet stands in pending/ with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.golden import pending
from tests.golden.following import CONTROLLER_TOPICS, follow
from tests.golden.server import TOPICS, check


@pytest.mark.parametrize("topic", TOPICS)
def test_answers_come_out_as_recorded(topic: str, tmp_path: Path) -> None:
    compare(topic, check(topic, tmp_path))


@pytest.mark.parametrize("topic", CONTROLLER_TOPICS)
def test_controllers_do_as_recorded(topic: str, tmp_path: Path) -> None:
    compare(f"controllers-{topic}", follow(topic, tmp_path))


def compare(topic: str, outcomes: Iterable[tuple[str, list[str]]]) -> None:
    """Holds differences against the pending table; `outcomes` are the names and differences of cases or steps."""
    reasons = pending.read(topic)
    faults = []
    for name, differences in outcomes:
        listed = reasons.pop(name, None)
        if differences and listed is None:
            faults.append("\n    ".join([name, *differences[:8]]))
        elif not differences and listed is not None:
            faults.append(f"{name}\n    comes out as recorded: take it out of pending/{topic}.yaml")
        elif listed == pending.UNEXAMINED:
            faults.append(f"{name}\n    is pending for no reason: give it one in pending/{topic}.yaml")
    faults += [f"pending/{topic}.yaml names a case that doesn't exist: {name}" for name in reasons]
    # pytest's closing summary shows the first line alone: the first fault stands in it
    assert not faults, f"{len(faults)} cases of {topic}: " + "\n".join([" ".join(faults[0].split()), *faults])
