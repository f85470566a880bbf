"""When a node is under pressure, which pod goes, and what it is told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from kubelet.eviction.local_storage import is_limited, violation
from kubelet.eviction.pressure import Observation, PressureState, look, most_urgent, observe, resolved
from kubelet.eviction.ranking import eviction_message, ranked
from kubelet.eviction.thresholds import (
    DEFAULT_HARD,
    Amount,
    EvictionPolicy,
    Threshold,
    eviction_thresholds,
    parse_thresholds,
)
from kubelet.options import parse_options
from kubelet.stats.cgroups import CoreUsage, DetailedUsage
from kubelet.stats.disk import DiskUse
from kubelet.stats.figures import ContainerFigures, GroupFigures, NodeFigures, PodFigures, PodsMemory, VolumeFigures
from kubelet.stats.host import Filesystem, HostUsage
from tests.kits.node.kubelet import NOW, container, make_pod, sandbox

MIB, GIB = 1 << 20, 1 << 30
DISK = Filesystem(1, 100 * GIB, 40 * GIB, 45 * GIB, 1000, 600)
MEMORY = Threshold("memory.available", Amount(Fraction(100 * MIB)))


class TestThresholds:
    def test_upstreams_defaults(self) -> None:
        thresholds = {
            item.signal: item.least for item in eviction_thresholds(parse_thresholds(DEFAULT_HARD), {}, {}, {})
        }
        assert thresholds == {
            "memory.available": Amount(Fraction(100 * MIB)),
            "nodefs.available": Amount(share=Fraction(1, 10)),
            "nodefs.inodesFree": Amount(share=Fraction(1, 20)),
            "imagefs.available": Amount(share=Fraction(15, 100)),
            "imagefs.inodesFree": Amount(share=Fraction(1, 20)),
        }

    @pytest.mark.parametrize(
        ("flags", "held"),
        [
            ((), True),
            (("--enforce-node-allocatable=none",), False),
            (("--cgroups-per-qos=false",), False),
            (("--eviction-hard=nodefs.available<5%",), False),
        ],
    )
    def test_pods_go_before_the_group_of_all_is_full(self, flags: tuple[str, ...], held: bool) -> None:
        options = parse_options(["--node-ip=10.0.0.2", "--hostname-override=n", *flags])
        thresholds = options.resources.eviction.thresholds
        assert [item.least for item in thresholds if item.signal == "allocatableMemory.available"] == (
            [MEMORY.least] if held else []
        )

    @pytest.mark.parametrize(
        ("flag", "words"),
        [
            ("--cgroup-root=kube", "want the path of a control group"),
            ("--cgroup-root=/a/../b", "want the path of a control group"),
        ],
    )
    def test_flags_of_groups_are_checked(self, flag: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            parse_options(["--node-ip=10.0.0.2", "--hostname-override=n", flag])
        assert words in capsys.readouterr().err

    def test_a_soft_threshold_has_its_grace_period_and_reclaim(self) -> None:
        (soft,) = eviction_thresholds(
            {}, {"memory.available": "1Gi"}, {"memory.available": "1m30s"}, {"memory.available": "100Mi"}
        )
        assert (soft.grace_seconds, soft.reclaim) == (90, Amount(Fraction(100 * MIB)))

    @pytest.mark.parametrize("value", ["0%", "100%"])
    def test_a_share_of_all_or_nothing_is_no_threshold(self, value: str) -> None:
        assert eviction_thresholds({"memory.available": value}, {}, {}, {}) == ()

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (({"memory.free": "1Mi"}, {}, {}, {}), "unsupported eviction threshold signal memory.free"),
            (({"memory.available": "0"}, {}, {}, {}), "must be positive"),
            (({"memory.available": "-1Mi"}, {}, {}, {}), "must be positive"),
            (({"memory.available": "-1%"}, {}, {}, {}), ">= 0%"),
            (({"memory.available": "101%"}, {}, {}, {}), "<= 100%"),
            (({"memory.available": "x"}, {}, {}, {}), "eviction threshold memory.available"),
            (
                ({}, {"memory.available": "1Mi"}, {}, {}),
                "grace period must be specified for the soft eviction threshold",
            ),
            (({}, {}, {"memory.available": "-1s"}, {}), "must be a positive value"),
            (({}, {}, {"x": "1s"}, {}), "unsupported eviction signal x"),
            (({}, {}, {}, {"x": "1"}), "unsupported eviction signal x"),
        ],
    )
    def test_bad_ones_are_refused(self, flags: tuple[dict[str, str], ...], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            eviction_thresholds(*flags)

    @pytest.mark.parametrize("text", ["memory.available=1Mi", "memory.available<1Mi,memory.available<2Mi"])
    def test_bad_syntax(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"invalid eviction threshold syntax|duplicate eviction threshold"):
            parse_thresholds(text)


def after(policy: EvictionPolicy, *steps: tuple[float, int]) -> list[PressureState]:
    """The states after each (time, MiB of memory available)."""
    state, states = PressureState(), []
    for now, available in steps:
        state = look(policy, {"memory.available": Observation(available * MIB, GIB)}, state, now)
        states.append(state)
    return states


class TestPressure:
    def test_a_hard_threshold_is_due_at_once_and_its_condition_lasts(self) -> None:
        policy = EvictionPolicy((MEMORY,), transition_seconds=300)
        well, pressed, recovered, over = after(policy, (0, 100), (10, 99), (20, 100), (311, 100))
        assert (well.due, well.conditions) == ((), frozenset())
        assert (pressed.due, pressed.conditions) == ((MEMORY,), {"MemoryPressure"})
        assert (recovered.due, recovered.conditions) == ((), {"MemoryPressure"})
        assert over.conditions == frozenset()

    def test_without_a_transition_period_the_condition_ends_with_its_cause(self) -> None:
        states = after(EvictionPolicy((MEMORY,), transition_seconds=0), (0, 50), (10, 200))
        assert [bool(state.conditions) for state in states] == [True, False]

    def test_a_soft_threshold_waits_and_begins_anew_after_a_recovery(self) -> None:
        soft = Threshold("memory.available", Amount(Fraction(100 * MIB)), grace_seconds=30)
        steps = ((0, 50), (29, 50), (30, 50), (40, 200), (50, 50), (79, 50), (80, 50))
        states = after(EvictionPolicy((soft,)), *steps)
        assert [bool(state.due) for state in states] == [False, False, True, False, False, False, True]
        assert states[0].conditions == {"MemoryPressure"}

    def test_more_is_reclaimed_than_the_threshold_asks(self) -> None:
        threshold = Threshold("memory.available", MEMORY.least, None, Amount(Fraction(50 * MIB)))
        states = after(EvictionPolicy((threshold,)), (0, 120), (10, 90), (20, 149), (30, 150), (40, 120))
        assert [bool(state.due) for state in states] == [False, True, True, False, False]

    def test_memory_goes_before_disk(self) -> None:
        disk = Threshold("nodefs.available", Amount(share=Fraction(1, 2)))
        assert most_urgent((disk, MEMORY)) == MEMORY
        assert most_urgent(()) is None

    def test_what_is_observed(self) -> None:
        host = HostUsage(CoreUsage(working_set_bytes=2 * GIB), 0, 8 * GIB, 0, 300, 1000)
        without_inodes = Filesystem(2, GIB, GIB, GIB, 0, 0)
        node = NodeFigures(NOW, host, None, CoreUsage(), None, DISK, without_inodes)
        assert observe(node) == {
            "memory.available": Observation(6 * GIB, 8 * GIB),
            "pid.available": Observation(700, 1000),
            "nodefs.available": Observation(40 * GIB, 100 * GIB),
            "nodefs.inodesFree": Observation(600, 1000),
            "imagefs.available": Observation(GIB, GIB),
            "containerfs.available": Observation(GIB, GIB),
        }
        limited = replace(node, pods=PodsMemory(GIB, 4 * GIB))
        assert observe(limited)["allocatableMemory.available"] == Observation(3 * GIB, 4 * GIB)
        assert resolved(Threshold("imagefs.inodesFree", Amount(share=Fraction(1, 2))), observe(node))


def pod(uid: str, priority: int = 0, limits: dict[str, str] | None = None, **requests: str) -> Any:
    asked = {name.replace("_", "-"): value for name, value in requests.items()}
    resources = {"requests": asked, "limits": limits or {}}
    spec = {"priority": priority, "containers": [{"name": "app", "image": "app:1", "resources": resources}]}
    return make_pod(spec, uid=uid, name=uid)


def figures(pod: Any, *, memory: int = 0, written: int = 0, log: int = 0, threads: int = 0) -> PodFigures:
    group = GroupFigures(NOW, CoreUsage(working_set_bytes=memory), 0, "/x", DetailedUsage(threads=threads))
    app = ContainerFigures(container(), group, DiskUse(written, written // 100), DiskUse(log, 1))
    return PodFigures(pod, sandbox(), (app,), measured_at=NOW)


def order(signal: str, *found: PodFigures, dedicated: bool = False) -> list[str]:
    threshold = Threshold(signal, Amount(share=Fraction(1, 2)))
    by_uid = {item.pod.metadata.uid: item for item in found}
    pods = [item.pod for item in found]
    return [item.pod.name for item in ranked(pods, by_uid, threshold, dedicated_imagefs=dedicated)]


class TestRanking:
    def test_memory_by_requests_then_priority_then_excess(self) -> None:
        assert order(
            "memory.available",
            figures(pod("within", memory="1Gi"), memory=GIB),
            figures(pod("important", 100), memory=9 * MIB),
            figures(pod("little", memory="1Mi"), memory=2 * MIB),
            figures(pod("much", memory="1Mi"), memory=9 * MIB),
        ) == ["much", "little", "important", "within"]

    def test_disk_counts_layers_and_logs(self) -> None:
        asked = {"ephemeral_storage": "1Ki"}
        found = (
            figures(pod("layer", **asked), written=5000),
            figures(pod("log", **asked), log=6000),
            figures(pod("within", ephemeral_storage="1Mi"), log=9000),
        )
        assert order("nodefs.available", *found) == ["log", "layer", "within"]
        assert order("nodefs.available", *found, dedicated=True)[0] == "log"
        assert order("imagefs.available", *found, dedicated=True)[0] == "layer"

    def test_inodes_and_processes(self) -> None:
        assert order("nodefs.inodesFree", figures(pod("a"), written=100), figures(pod("b"), written=9000)) == ["b", "a"]
        assert order("pid.available", figures(pod("a", 5), threads=99), figures(pod("b"), threads=2)) == ["b", "a"]

    def test_a_pod_that_nobody_measured_goes_first(self) -> None:
        known, unknown = pod("known"), pod("unknown", 1000)
        found = ranked([known, unknown], {"known": figures(known, memory=GIB)}, MEMORY, dedicated_imagefs=False)
        assert [item.pod.name for item in found] == ["unknown", "known"]

    def test_the_message(self) -> None:
        asked = pod("p", memory="10Mi")
        (candidate,) = ranked([asked], {"p": figures(asked, memory=20 * MIB)}, MEMORY, dedicated_imagefs=False)
        assert eviction_message(candidate, MEMORY, Observation(50 * MIB, GIB)) == (
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51200Ki. "
            "Container app was using 20480Ki, request is 10Mi, has larger consumption of memory. "
        )


class TestOwnLimits:
    @pytest.mark.parametrize(
        ("written", "log", "message"),
        [
            (500, 500, ""),
            (1000, 25, "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. "),
        ],
    )
    def test_a_pods_limit(self, written: int, log: int, message: str) -> None:
        limited = pod("p", limits={"ephemeral-storage": "1Ki"})
        assert is_limited(limited)
        assert violation(figures(limited, written=written, log=log)) == message

    def test_a_containers_limit(self) -> None:
        resources = {"resources": {"limits": {"ephemeral-storage": "1Ki"}}}
        both = [{"name": name, "image": "i", **resources} for name in ("app", "other")]
        message = 'Container app exceeded its local ephemeral storage limit "1Ki". '
        assert violation(figures(make_pod({"containers": both}), written=1500)) == message

    @pytest.mark.parametrize(("used", "message"), [(1024, False), (1025, True)])
    def test_the_limit_of_an_empty_dir(self, used: int, message: bool) -> None:
        limited = make_pod({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Ki"}}]})
        assert limited.spec.volumes is not None
        volumes = (VolumeFigures(limited.spec.volumes[0], DISK, DiskUse(used, 1)),)
        text = violation(PodFigures(limited, sandbox(), (), volumes=volumes))
        assert text == ('Usage of EmptyDir volume "v" exceeds the limit "1Ki". ' if message else "")

    def test_pods_without_limits_are_not_watched(self) -> None:
        memory = {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Ki", "medium": "Memory"}}]}
        assert not is_limited(make_pod(memory))
        assert violation(figures(make_pod(), written=1 << 40)) == ""
