"""How `taint` reads taints, and what it makes of them."""

from __future__ import annotations

from kubectl.commands.cluster.taint import TaintSpec, changed, parse


def test_taints() -> None:
    targets, adding, removing = parse(["node", "n1", "a=b:NoSchedule", "c:NoExecute", "d-", "e:NoExecute-"])
    assert targets == ["node", "n1"]
    assert adding == [TaintSpec("a", "b", "NoSchedule"), TaintSpec("c", "", "NoExecute")]
    assert removing == [TaintSpec("d", "", ""), TaintSpec("e", "", "NoExecute")]
    have = [
        {"key": "a", "value": "old", "effect": "NoSchedule"}, {"key": "d", "effect": "NoSchedule"},
        {"key": "d", "effect": "NoExecute"}, {"key": "e", "effect": "NoSchedule"},
    ]  # fmt: skip
    assert changed(have, adding, removing) == [
        {"key": "a", "value": "b", "effect": "NoSchedule"}, {"key": "c", "effect": "NoExecute"},
        {"key": "e", "effect": "NoSchedule"},
    ]  # fmt: skip
