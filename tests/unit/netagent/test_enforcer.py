"""When the rules are synced, and what happens when that fails or others touch them."""

from __future__ import annotations

from apimachinery.model import from_dict
from componentbase.host.process import CommandError
from kubeapi.networking.networkpolicy import RESOURCE, NetworkPolicy
from netagent.policy.enforcer import LATE_SECONDS, RETRY_FIRST_SECONDS, Enforcer
from netagent.policy.ruleset import Ruleset, shape
from netagent.policy.views import Pod
from tests.fakes.clock import QuickClock
from tests.kits.eventually import eventually_async
from tests.kits.tasks import background


class Kernel:
    """Takes transactions, or refuses them."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.found: dict[str, int] | None = None
        self.fails = False

    async def apply(self, text: str) -> None:
        if self.fails:
            raise CommandError(["nft"], 1, "no")
        self.texts.append(text)

    async def shape(self) -> dict[str, int]:
        return shape(Ruleset()) if self.found is None else self.found


def pod(name: str, address: str) -> Pod:
    document = {
        "metadata": {"namespace": "x", "name": name},
        "spec": {"nodeName": "n1"},
        "status": {"podIPs": [{"ip": address}]},
    }
    return from_dict(Pod, document)


def policy() -> NetworkPolicy:
    obj = from_dict(NetworkPolicy, {"metadata": {"namespace": "x", "name": "deny"}, "spec": {}})
    RESOURCE.strategy.default(obj)
    return obj


async def test_changes_are_one_transaction_each_and_nothing_is_none() -> None:
    kernel = Kernel()
    enforcer = Enforcer("n1", kernel, QuickClock())
    enforcer.on_pod(None, pod("a", "10.0.0.1"))
    async with background(enforcer.run()):
        await eventually_async(lambda: len(kernel.texts) == 1)
        assert kernel.texts[0].startswith("add table")
        enforcer.on_policy(None, policy())
        await eventually_async(lambda: len(kernel.texts) == 2)
        assert "10.0.0.1 : jump" in kernel.texts[1]
        enforcer.on_pod(None, pod("a", "10.0.0.1"))
        enforcer.on_pod(None, pod("b", "10.0.0.2"))
        await eventually_async(lambda: len(kernel.texts) == 3)
        assert "10.0.0.1" not in kernel.texts[2]
        enforcer.on_policy(policy(), None)
        await eventually_async(lambda: "delete chain" in kernel.texts[-1])
    assert enforcer.check() == ""


async def test_what_failed_is_tried_again_from_nothing() -> None:
    kernel, clock = Kernel(), QuickClock()
    kernel.fails = True
    enforcer = Enforcer("n1", kernel, clock)
    started = clock.monotonic()
    async with background(enforcer.run()):
        await eventually_async(lambda: clock.monotonic() > started + RETRY_FIRST_SECONDS)
        assert enforcer.check() == "", "not yet"
        await eventually_async(lambda: clock.monotonic() > started + LATE_SECONDS)
        assert enforcer.check().startswith("policy rules are out of date for ")
        kernel.fails = False
        await eventually_async(lambda: enforcer.check() == "")
    assert kernel.texts[0].startswith("add table")


async def test_a_table_that_others_have_changed_is_written_anew() -> None:
    kernel = Kernel()
    enforcer = Enforcer("n1", kernel, QuickClock(), check_seconds=0.01)
    async with background(enforcer.run()):
        await eventually_async(lambda: len(kernel.texts) == 1)
        kernel.found = {}
        await eventually_async(lambda: len(kernel.texts) == 2)
        kernel.found = None
    assert kernel.texts[1] == kernel.texts[0]
