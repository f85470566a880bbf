"""The API server answers as the original did; what doesn't yet stands in pending/ with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import pending
from tests.golden.server import TOPICS, check


@pytest.mark.parametrize("topic", TOPICS)
def test_answers_come_out_as_recorded(topic: str, tmp_path: Path) -> None:
    reasons = pending.read(topic)
    faults = []
    for case, differences in check(topic, tmp_path):
        listed = reasons.pop(case["name"], None)
        if differences and listed is None:
            faults.append("\n    ".join([case["name"], *differences[:8]]))
        elif not differences and listed is not None:
            faults.append(f"{case['name']}\n    comes out as recorded: take it out of pending/{topic}.yaml")
    faults += [f"pending/{topic}.yaml names a case that doesn't exist: {name}" for name in reasons]
    assert not faults, "\n".join([f"{len(faults)} cases of {topic}:", *faults])
