"""The API server and the controllers do as the original did; what they don't yet stands in pending/ with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.golden import pending
from tests.golden.following import CONTROLLER_TOPICS, follow
from tests.golden.server import TOPICS, check

AT_ONCE = 3  # files: each waits more than it computes

Outcomes = list[tuple[str, list[str]]]
"""Names of cases or steps, with their differences."""


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What came of each file that this session asks for, by the name of its pending table."""
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def begin(kind: str, topic: str) -> Future[Outcomes]:
            folder, replay = tmp_path_factory.mktemp("golden"), follow if kind == "controllers" else check
            return pool.submit(lambda: list(replay(topic, folder)))

        selected = (item for item in request.session.items if isinstance(item, pytest.Function))
        chosen = [item.callspec.params for item in selected if "outcomes" in item.fixturenames]
        yield {_table(**params): begin(**params) for params in chosen}
        pool.shutdown(cancel_futures=True)


def _table(kind: str, topic: str) -> str:
    return f"controllers-{topic}" if kind == "controllers" else topic


# The controllers' files take longest, so they begin first.
@pytest.mark.parametrize(
    ("kind", "topic"), [("controllers", topic) for topic in CONTROLLER_TOPICS] + [("cases", topic) for topic in TOPICS]
)
def test_it_comes_out_as_recorded(kind: str, topic: str, outcomes: dict[str, Future[Outcomes]]) -> None:
    table = _table(kind, topic)
    compare(table, outcomes[table].result())


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
