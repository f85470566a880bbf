"""The cleaner of legacy tokens: unused ones are refused after a period and deleted after another; others are left."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from apimachinery.times import format_date, format_time
from controller_manager.controllers.cluster.legacytokencleaner import CONTROLLER, step
from kubeapi.core._references import ObjectReference
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.pod.model import Pod
from kubeapi.core.secret import accounttoken
from kubeapi.core.secret.model import Secret
from kubeapi.core.serviceaccount import ServiceAccount
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock

DAY = 24 * 3600.0
PERIOD = 30 * DAY
NOW = FakeClock().now()


def secret(name: str = "old", *, age: float = 100 * DAY, **labels: float) -> Secret:
    """`labels` are times; `age` is in seconds."""
    names = {"used": accounttoken.LAST_USED, "invalid": accounttoken.INVALID_SINCE}
    meta = ObjectMeta(
        name=name,
        namespace="a",
        creationTimestamp=format_time(NOW - age),
        annotations={accounttoken.ACCOUNT_NAME: "robot"},
        labels={names[key]: format_date(value) for key, value in labels.items()} or None,
    )
    return Secret(metadata=meta, type=accounttoken.TYPE)


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        (secret(), "mark"),
        (secret(age=PERIOD - 1), ""),
        (secret(used=NOW), ""),
        (secret(used=NOW - PERIOD), ""),
        (secret(used=NOW - PERIOD - DAY), "mark"),
        (secret(invalid=NOW), ""),
        (secret(invalid=NOW - PERIOD + DAY), ""),
        (secret(invalid=NOW - PERIOD - DAY), "delete"),
        (secret(invalid=NOW - PERIOD - DAY, used=NOW - DAY), ""),
    ],
)
def test_what_becomes_of_a_secret(what: Secret, wanted: str) -> None:
    assert step(what, NOW, PERIOD) == wanted


def cluster(since: float) -> tuple[FakeApi, Running]:
    """A cluster with a Secret that may go, one that a pod mounts, and one that no account lists."""
    api = FakeApi(FakeClock())
    meta = ObjectMeta(name=accounttoken.TRACKING_NAME, namespace=accounttoken.TRACKING_NAMESPACE)
    api.put(ConfigMap(metadata=meta, data={accounttoken.TRACKED_SINCE: format_date(since)}))
    listed = [ObjectReference(name=name) for name in ("old", "mounted")]
    api.put(ServiceAccount(metadata=ObjectMeta(name="robot", namespace="a"), secrets=listed))
    for name in ("old", "mounted", "unlisted"):
        api.put(secret(name))
    spec: dict[str, Any] = {"containers": [], "volumes": [{"name": "x", "secret": {"secretName": "mounted"}}]}
    api.put(Pod.model_validate({"metadata": {"name": "p", "namespace": "a"}, "spec": spec}))
    return api, Running(api, CONTROLLER, legacy_service_account_token_clean_up_period=PERIOD)


async def look(api: FakeApi, cleaner: Running) -> dict[str, dict[str, str]]:
    """Returns the labels of the Secrets that are left."""
    cleaner.queue.add("all")
    await settle(api, cleaner)
    return {secret.name: secret.labels for secret in api.all(Secret)}


async def test_an_unused_token_is_refused_and_a_period_later_deleted() -> None:
    api, cleaner = cluster(since=NOW - 40 * DAY)
    left = await look(api, cleaner)
    assert left == {"old": {accounttoken.INVALID_SINCE: format_date(NOW)}, "mounted": {}, "unlisted": {}}
    api.clock.step(PERIOD - DAY)
    assert set(await look(api, cleaner)) == {"old", "mounted", "unlisted"}
    api.clock.step(DAY)
    assert set(await look(api, cleaner)) == {"mounted", "unlisted"}


async def test_nothing_is_judged_before_uses_were_noted_for_a_period() -> None:
    api, cleaner = cluster(since=NOW - PERIOD)
    assert not any((await look(api, cleaner)).values())
