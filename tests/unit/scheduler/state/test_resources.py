"""What a pod asks of a node."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from scheduler.state.resources import AMOUNT_LIMIT, SCORING_DEFAULTS, pod_requests
from scheduler.views.pod import PodSpec


def container(restart: str | None = None, **requests: str) -> dict[str, Any]:
    return {"resources": {"requests": requests}, "restartPolicy": restart}


def spec(*containers: dict[str, Any], init: list[dict[str, Any]] | None = None, **more: Any) -> PodSpec:
    return from_dict(PodSpec, {"containers": list(containers), "initContainers": init} | more)


def cpu(found: PodSpec) -> int:
    return pod_requests(found).get("cpu", 0)


def test_containers_add_up() -> None:
    found = pod_requests(spec(container(cpu="250m", memory="64Mi"), container(cpu="1"), container()))
    assert found == {"cpu": 1250, "memory": 64 * 2**20}


def test_an_init_container_counts_only_if_it_needs_more() -> None:
    assert cpu(spec(container(cpu="500m"), init=[container(cpu="200m")])) == 500
    assert cpu(spec(container(cpu="500m"), init=[container(cpu="2"), container(cpu="1")])) == 2000


def test_resources_are_compared_one_by_one() -> None:
    found = pod_requests(spec(container(cpu="500m", memory="1Gi"), init=[container(cpu="2", memory="1Mi")]))
    assert found == {"cpu": 2000, "memory": 2**30}


def test_sidecars_run_beside_the_containers() -> None:
    assert cpu(spec(container(cpu="500m"), init=[container("Always", cpu="300m")])) == 800


def test_an_init_container_runs_beside_the_sidecars_before_it() -> None:
    before = [container("Always", cpu="300m"), container(cpu="1")]
    assert cpu(spec(container(cpu="500m"), init=before)) == 1300
    assert cpu(spec(container(cpu="500m"), init=before[::-1])) == 1000
    assert cpu(spec(container(cpu="900m"), init=before[::-1])) == 1200


def test_overhead_is_added_at_last() -> None:
    found = spec(container(cpu="500m"), init=[container(cpu="1")], overhead={"cpu": "100m", "memory": "10Mi"})
    assert pod_requests(found) == {"cpu": 1100, "memory": 10 * 2**20}


def test_requests_of_the_whole_pod_replace_those_of_its_containers() -> None:
    found = spec(container(cpu="500m", memory="1Gi"), resources={"requests": {"cpu": "3"}})
    assert pod_requests(found) == {"cpu": 3000, "memory": 2**30}


def test_defaults_stand_in_for_what_a_container_does_not_mention() -> None:
    found = pod_requests(spec(container(), container(cpu="1"), container(cpu="0")), SCORING_DEFAULTS)
    assert found == {"cpu": 1100, "memory": 3 * 200 * 2**20}


@pytest.mark.parametrize(("quantity", "amount"), [("1m", 1), ("100u", 1), ("0.1", 100), ("2", 2000)])
def test_cpu_is_counted_in_millis_rounded_up(quantity: str, amount: int) -> None:
    assert cpu(spec(container(cpu=quantity))) == amount


def test_absurd_amounts_are_cut() -> None:
    found = pod_requests(spec(container(memory="8Ei"), container(memory="8Ei")))
    assert found == {"memory": AMOUNT_LIMIT}
