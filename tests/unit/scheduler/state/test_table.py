"""The node table, and the cache that keeps it."""

from __future__ import annotations

from apimachinery.selectors import parse_label_selector
from scheduler.framework import collect_plugins, pod_fields
from scheduler.state.cache import SchedulerCache
from scheduler.state.counters import COUNTERS, PodKind
from scheduler.state.podinfo import pod_id
from scheduler.state.shape import Shapes
from scheduler.state.table import FIRST_CAPACITY, LABEL_COLUMNS, NodeTable
from tests.kits.control_plane.scheduler import World, node, pod


def free(table: NodeTable, name: str, resource: str) -> int:
    return int(table.free[table.resources[resource], table.rows[name]])


def test_a_node_offers_its_allocatable() -> None:
    table = NodeTable()
    table.put(node("n1", cpu="2", memory="1Gi", pods="10", extra={"example.com/gpu": "3"}))
    assert [free(table, "n1", name) for name in ("cpu", "memory", "pods", "example.com/gpu")] == [2000, 2**30, 10, 3]


def test_the_table_grows_and_rows_stay() -> None:
    table = NodeTable()
    for number in range(3 * FIRST_CAPACITY):
        table.put(node(f"n{number}", cpu=str(number + 1)))
    assert table.count == table.size == 3 * FIRST_CAPACITY
    assert [free(table, f"n{number}", "cpu") for number in (0, 63, 64, 191)] == [1000, 64000, 65000, 192000]


def test_a_row_is_used_again_and_starts_clean() -> None:
    world = World(node("n1", taints=["a=b:NoSchedule"], unschedulable=True, images={"web:1": 5}, labels={"zone": "a"}))
    table = world.cache.table
    world.run(pod(cpu="1", ports=[{"hostPort": 80}]), "n1")
    column = table.label("zone")
    world.cache.remove_node("n1")
    assert (table.count, table.images, table.port_users) == (0, {}, {})
    world.cache.put_node(node("n2"))
    row = table.rows["n2"]
    assert row == 0
    assert (bool(table.unschedulable[row]), int(table.taint_set[row]), int(column.ids[row])) == (False, 0, -1)
    assert free(table, "n2", "cpu") == 4000
    assert int(table.scoring[0, row]) == 0


def test_label_columns_follow_the_nodes() -> None:
    table = NodeTable()
    table.put(node("n1", labels={"zone": "a"}))
    table.put(node("n2"))
    column = table.label("zone")
    assert [column.values[number] if number >= 0 else None for number in column.ids[:2]] == ["a", None]
    table.put(node("n2", labels={"zone": "a"}))
    table.put(node("n1", labels={"zone": "b"}))
    assert [column.values[number] for number in column.ids[:2]] == ["b", "a"]
    assert column.numbers(["b", "never-seen"]) == [1]


def test_label_columns_are_bounded_and_made_again() -> None:
    table = NodeTable()
    table.put(node("n1", labels={"zone": "a"}))
    first = table.label("zone")
    for number in range(LABEL_COLUMNS):
        table.label(f"key-{number}")
    again = table.label("zone")
    assert again is not first
    assert again.values[again.ids[0]] == "a"


def test_a_column_forgets_values_of_nodes_that_are_gone() -> None:
    table = NodeTable()
    table.label("kubernetes.io/hostname")
    for number in range(10 * FIRST_CAPACITY):
        table.put(node(f"n{number}"))
        table.drop(f"n{number}")
    table.put(node("last"))
    column = table.label("kubernetes.io/hostname")
    assert len(column.values) <= 5 * FIRST_CAPACITY
    assert column.values[column.ids[table.rows["last"]]] == "last"


def test_distinct_taints_are_kept_once_and_compacted() -> None:
    table = NodeTable()
    table.put(node("n1", taints=["a=b:NoSchedule"]))
    table.put(node("n2", taints=["a=b:NoSchedule"]))
    assert len(table.taint_sets) == 2
    for number in range(5 * FIRST_CAPACITY):
        table.put(node("n3", taints=[f"t=v{number}:NoSchedule"]))
    assert len(table.taint_sets) <= 2 * FIRST_CAPACITY + 2
    assert table.taint_sets[table.taint_set[table.rows["n1"]]] == (("a", "b", "NoSchedule"),)
    assert table.taint_sets[table.taint_set[table.rows["n3"]]] == (("t", f"v{5 * FIRST_CAPACITY - 1}", "NoSchedule"),)


def test_changes_are_told_by_revision() -> None:
    table = NodeTable()
    for name in ("n1", "n2", "n3"):
        table.put(node(name))
    revision = table.revision
    assert table.changed_since(revision).tolist() == []
    table.put(node("n2", cpu="8"))
    assert table.changed_since(revision).tolist() == [1]


def test_pods_take_and_give_back() -> None:
    world = World(node("n1"))
    table = world.cache.table
    bound = world.run(pod(cpu="1", memory="1Gi", ports=[{"hostPort": 80}]), "n1")
    assert (free(table, "n1", "cpu"), free(table, "n1", "pods")) == (3000, 109)
    assert table.port_users == {("TCP", 80): {0: {"0.0.0.0": 1}}}
    world.cache.remove_pod(bound)
    assert (free(table, "n1", "cpu"), free(table, "n1", "pods")) == (4000, 110)
    assert table.port_users == {}
    assert int(table.scoring.sum()) == 0


def test_a_resource_that_only_pods_know_is_accounted_too() -> None:
    world = World(node("n1"))
    item = pod()
    item.spec.containers[0].resources.requests = {"example.com/gpu": "2"}  # type: ignore[union-attr]
    world.run(item, "n1")
    assert free(world.cache.table, "n1", "example.com/gpu") == -2
    world.cache.put_node(node("n1", extra={"example.com/gpu": "3"}))
    assert free(world.cache.table, "n1", "example.com/gpu") == 1


def test_an_assumed_pod_takes_room_until_it_is_forgotten() -> None:
    cache = SchedulerCache()
    cache.put_node(node("n1"))
    item = pod(cpu="1")
    cache.assume(item, cache.shapes.of(item), "n1")
    assert free(cache.table, "n1", "cpu") == 3000
    cache.forget(pod_id(item))
    assert free(cache.table, "n1", "cpu") == 4000
    cache.forget(pod_id(item))
    assert free(cache.table, "n1", "cpu") == 4000


def test_a_confirmed_pod_is_not_forgotten() -> None:
    world = World(node("n1"))
    item = pod(cpu="1")
    world.cache.assume(item, world.cache.shapes.of(item), "n1")
    revision = world.cache.table.revision
    world.run(item, "n1")
    assert world.cache.table.revision == revision  # nothing is counted twice, and no verdict is spoiled
    world.cache.forget(pod_id(item))
    assert free(world.cache.table, "n1", "cpu") == 3000


def test_a_pod_bound_elsewhere_than_assumed_moves() -> None:
    world = World(node("n1"), node("n2"))
    item = pod(cpu="1")
    world.cache.assume(item, world.cache.shapes.of(item), "n1")
    world.run(item, "n2")
    assert (free(world.cache.table, "n1", "cpu"), free(world.cache.table, "n2", "cpu")) == (4000, 3000)


def test_a_resized_pod_is_counted_anew() -> None:
    world = World(node("n1"))
    item = pod(cpu="1")
    world.run(item, "n1")
    bigger = item.clone()
    bigger.spec.containers[0].resources.requests = {"cpu": "2"}  # type: ignore[union-attr]
    world.run(bigger, "n1")
    assert free(world.cache.table, "n1", "cpu") == 2000


def test_pods_may_be_known_before_their_node() -> None:
    world = World()
    world.run(pod(cpu="1"), "n1")
    world.cache.put_node(node("n1"))
    assert free(world.cache.table, "n1", "cpu") == 3000
    world.cache.remove_node("n1")
    world.cache.put_node(node("n1"))
    assert free(world.cache.table, "n1", "cpu") == 3000


def test_a_pod_of_the_same_name_is_another_pod() -> None:
    world = World(node("n1"))
    first = world.run(pod("web", cpu="1"), "n1")
    world.run(pod("web", cpu="1"), "n1")
    world.cache.remove_pod(first)
    assert (len(world.cache), free(world.cache.table, "n1", "cpu")) == (1, 3000)


def test_alike_pods_share_their_shape() -> None:
    shapes = Shapes(pod_fields(collect_plugins()))
    one, two = pod("a", cpu="1", owner=("ReplicaSet", "rs")), pod("b", cpu="1", owner=("ReplicaSet", "rs"))
    assert shapes.of(one) is shapes.of(two)
    bound = two.clone()
    bound.spec.nodeName = "n1"
    assert shapes.of(bound) is shapes.of(one)
    differing = [
        pod(cpu="2", owner=("ReplicaSet", "rs")),
        pod(cpu="1", owner=("ReplicaSet", "other")),
        pod(cpu="1", owner=("ReplicaSet", "rs"), labels={"a": "b"}),
        pod(cpu="1", owner=("ReplicaSet", "rs"), nodeSelector={"a": "b"}),
        pod(cpu="1", owner=("ReplicaSet", "rs"), tolerations=[{"operator": "Exists"}]),
        pod(cpu="1", owner=("ReplicaSet", "rs"), ports=[{"hostPort": 80}]),
        pod(cpu="1", owner=("ReplicaSet", "rs"), image="web:2"),
        pod(cpu="1", owner=("ReplicaSet", "rs"), overhead={"cpu": "1"}),
        pod("c", "other", cpu="1", owner=("ReplicaSet", "rs")),
    ]
    assert len({shapes.of(item) for item in differing} | {shapes.of(one)}) == len(differing) + 1


def kind(selector: str, *, alive: bool = False) -> PodKind:
    return PodKind(((frozenset(("default",)), parse_label_selector(selector)),), alive_only=alive)


def test_counters_follow_pods() -> None:
    world = World(node("n1"), node("n2"))
    first = world.run(pod(labels={"app": "web"}), "n1")
    assert world.cache.count(kind("app=web"))[:2].tolist() == [1, 0]
    world.run(pod(labels={"app": "web"}), "n2")
    world.run(pod(labels={"app": "db"}), "n2")
    world.run(pod("x", "other", labels={"app": "web"}), "n2")
    assert world.cache.count(kind("app=web"))[:2].tolist() == [1, 1]
    world.cache.remove_pod(first)
    assert world.cache.count(kind("app=web"))[:2].tolist() == [0, 1]
    world.cache.remove_node("n2")
    assert world.cache.count(kind("app=web"))[:2].tolist() == [0, 0]
    world.cache.put_node(node("n2"))
    assert world.cache.count(kind("app=web"))[:2].tolist() == [0, 1]


def test_pods_being_deleted_may_be_left_out() -> None:
    world = World(node("n1"))
    item = pod(labels={"app": "web"})
    world.run(item, "n1")
    counts = [world.cache.count(kind("app=web", alive=alive)) for alive in (False, True)]
    assert [int(found[0]) for found in counts] == [1, 1]
    dying = item.clone()
    dying.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    bound = world.run(dying, "n1")
    assert [int(found[0]) for found in counts] == [1, 0]
    world.cache.remove_pod(bound)
    assert [int(found[0]) for found in counts] == [0, 0]


def test_counters_grow_with_the_table_and_are_bounded() -> None:
    world = World(node("n0"))
    world.cache.count(kind("app=web"))
    for number in range(1, 2 * FIRST_CAPACITY):
        world.cache.put_node(node(f"n{number}"))
        world.run(pod(labels={"app": "web"}), f"n{number}")
    assert int(world.cache.count(kind("app=web")).sum()) == 2 * FIRST_CAPACITY - 1
    for number in range(2 * COUNTERS):
        world.cache.count(kind(f"app=other-{number}"))
    world.run(pod(labels={"app": "web"}), "n0")
    assert int(world.cache.count(kind("app=web")).sum()) == 2 * FIRST_CAPACITY
