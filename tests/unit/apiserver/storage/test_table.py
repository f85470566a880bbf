"""Tables: order, pages, and the past told from the ring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apimachinery.resource import Resource
from apimachinery.selectors import parse_field_selector, parse_label_selector
from apiserver.storage.cache.ring import Ring
from apiserver.storage.cache.selection import Selection
from apiserver.storage.cache.table import Table, storage_prefix
from apiserver.storage.interface import Compacted, UnreadableObject
from apiserver.storage.transform import Opened, TransformError
from tests.kits.control_plane.storage import TAGS, WIDGETS, Widget, put, tag, widget


def names(
    table: Table, selection: Selection, start: str = "", limit: int = 0, revision: int | None = None
) -> list[str]:
    return [f"{entry.namespace}/{entry.name}" for entry in table.page(selection, start, limit, revision)[0]]


@pytest.mark.parametrize(
    ("group", "plural", "own", "expected"),
    [
        ("", "pods", "", "pods"),
        ("", "services", "services/specs", "services/specs"),
        ("apps", "deployments", "", "deployments"),
        ("coordination.k8s.io", "leases", "", "leases"),
        ("rbac.authorization.k8s.io", "roles", "", "roles"),
        ("example.com", "widgets", "", "example.com/widgets"),
        ("gateway.networking.k8s.io", "gateways", "", "gateway.networking.k8s.io/gateways"),
    ],
)
def test_keys_are_upstreams(group: str, plural: str, own: str, expected: str) -> None:
    resource = Resource(kind="Any", plural=plural, model=Widget, group=group, storage_prefix=own)
    assert storage_prefix(resource) == expected
    assert Table(resource).key("ns", "a") == f"/registry/{expected}/ns/a"


def test_a_cluster_scoped_key_has_no_namespace() -> None:
    table = Table(TAGS)
    assert table.key("", "a") == "/registry/example.com/tags/a"
    entry = table.make_entry(table.key("", "a"), tag("a", {"x": "y"}), 3)
    assert (entry.namespace, entry.name, entry.labels) == ("", "a", {"x": "y"})
    table.put(entry)
    assert table.page(Selection(""), "", 0)[0] == [entry]


def test_an_entry_knows_its_labels_and_fields() -> None:
    table = Table(WIDGETS)
    entry = table.make_entry(table.key("ns", "a"), widget("a", "ns", {"app": "x"}, nodeName="n1"), 9)
    assert entry.labels == {"app": "x"}
    assert entry.fields == {
        "spec.nodeName": "n1",
        "spec.size": "1",
        "metadata.name": "a",
        "metadata.namespace": "ns",
    }
    assert entry.field("spec.unknown") == ""
    assert entry.value.startswith(b'{"kind":"Widget","apiVersion":"v1","metadata":{"resourceVersion":"9",')


def test_equal_label_sets_are_kept_once() -> None:
    table = Table(WIDGETS)
    first, second = (table.make_entry(table.key("ns", name), widget(name, "ns", {"app": "x"}), 1) for name in "ab")
    assert first.labels is second.labels


def test_a_value_that_is_no_object_is_refused() -> None:
    for table in (Table(TAGS), Table(WIDGETS)):
        for raw in (b"", b"[]", b"5", b"{}", b'{"metadata":5}', b"\x00binary"):
            with pytest.raises(ValueError, match=r".*"):
                table.make_entry(table.prefix + "a", raw, 1)


def test_an_object_that_does_not_fit_its_model_keeps_its_labels() -> None:
    table = Table(WIDGETS)
    raw = b'{"kind":"Widget","metadata":{"name":"a","labels":{"app":"x"}},"spec":{"size":"big"}}'
    entry = table.make_entry(table.key("ns", "a"), raw, 1)
    assert entry.labels == {"app": "x"}
    assert entry.field("spec.size") == ""


def test_a_namespace_does_not_include_those_it_is_a_prefix_of() -> None:
    table = Table(WIDGETS)
    for revision, namespace in enumerate(["a", "a-b", "ab", "b"], 1):
        put(table, revision, "x", namespace)
    assert names(table, Selection("a")) == ["a/x"]
    assert names(table, Selection("")) == ["a-b/x", "a/x", "ab/x", "b/x"]  # etcd's order of keys


def test_pages_follow_each_other() -> None:
    table = Table(WIDGETS)
    for revision, name in enumerate("cabed", 1):
        put(table, revision, name)
    page, start, remaining = table.page(Selection("default"), "", 2)
    assert ([entry.name for entry in page], remaining) == (["a", "b"], 3)
    page, start, remaining = table.page(Selection("default"), start, 2)
    assert ([entry.name for entry in page], remaining) == (["c", "d"], 1)
    page, start, remaining = table.page(Selection("default"), start, 2)
    assert ([entry.name for entry in page], start, remaining) == (["e"], "", 0)


def test_pages_with_selectors_hold_matches_only() -> None:
    table = Table(WIDGETS)
    for number in range(9):
        put(table, number + 1, f"w{number}", labels={"odd": str(number % 2)}, nodeName=f"n{number % 3}")
    odd = Selection("default", parse_label_selector("odd=1"))
    page, start, remaining = table.page(odd, "", 3)
    assert ([entry.name for entry in page], remaining) == (["w1", "w3", "w5"], None)
    page, start, _ = table.page(odd, start, 3)
    assert ([entry.name for entry in page], start) == (["w7"], "")
    both = Selection("", parse_label_selector("odd=1"), parse_field_selector("spec.nodeName=n1,metadata.name!=w1"))
    assert names(table, both) == ["default/w7"]


def test_a_page_continues_where_its_last_key_was_deleted() -> None:
    table = Table(WIDGETS)
    for revision, name in enumerate("abcd", 1):
        put(table, revision, name)
    _, start, _ = table.page(Selection(""), "", 2)
    table.remove(table.key("default", "b"), 5)
    assert names(table, Selection(""), start) == ["default/c", "default/d"]
    assert names(table, Selection(""), start, 0, 4) == ["default/c", "default/d"]


STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["put", "remove"])), max_size=30)


@given(STEPS)
def test_every_past_revision_can_be_read_again(steps: list[tuple[str, str]]) -> None:
    table = Table(WIDGETS)
    put(table, 1, "start")
    history = {1: table.page(Selection(""), "", 0)[0]}
    for revision, (name, step) in enumerate(steps, 2):
        if step == "put":
            put(table, revision, name, size=revision)
        else:
            table.remove(table.key("default", name), revision)
        history[revision] = table.page(Selection(""), "", 0)[0]
    for revision, entries in history.items():
        assert table.page(Selection(""), "", 0, revision)[0] == entries


def test_a_past_the_ring_has_dropped_is_compacted() -> None:
    table = Table(WIDGETS)
    table.ring = Ring(0, max_events=2)
    for revision in range(1, 6):
        put(table, revision, "a", size=revision)
    assert table.reaches_back_to(3)
    assert not table.reaches_back_to(2)
    assert table.page(Selection(""), "", 0, 3)[0][0].revision == 3
    with pytest.raises(Compacted, match=r"too old resource version: 2 \(3\)"):
        table.page(Selection(""), "", 0, 2)


def test_a_ring_is_bounded_by_bytes_too() -> None:
    table = Table(WIDGETS)
    table.ring = Ring(0, max_bytes=5_000)
    for revision in range(1, 20):
        put(table, revision, "a", filler="x" * 1_000)
    assert 0 < len(table.ring) < 5
    assert [change.revision for change in table.ring.after(table.ring.oldest)] == list(range(table.ring.oldest + 1, 20))


def test_a_deletion_carries_the_last_state_under_its_own_revision() -> None:
    table = Table(WIDGETS)
    before = put(table, 1, "a", size=5).entry
    change = table.remove(table.key("default", "a"), 2)
    assert change is not None
    assert change.entry.value == before.value.replace(b'"resourceVersion":"1"', b'"resourceVersion":"2"')
    assert table.remove(table.key("default", "a"), 3) is None
    assert names(table, Selection("")) == []


def test_loading_forgets_what_was_before() -> None:
    table = Table(WIDGETS)
    put(table, 1, "old")
    table.load([table.make_entry(table.key("default", "new"), widget("new"), 5)], 9)
    assert names(table, Selection("")) == ["default/new"]
    assert table.changed == 9
    assert table.ring.after(9) == []
    with pytest.raises(Compacted):
        table.ring.after(8)


class Sealed:
    """A transformer whose key may be missing."""

    has_key = True

    def to_storage(self, key: str, value: bytes) -> bytes:
        return b"k8s:enc:test:" + value

    def from_storage(self, key: str, stored: bytes) -> Opened:
        if not self.has_key:
            raise TransformError("no key")
        return Opened(stored.removeprefix(b"k8s:enc:test:"), is_stale=not stored.startswith(b"k8s:enc:test:"))


def test_what_can_not_be_read_is_an_error_in_its_namespace_and_not_gone() -> None:
    table, key = Table(WIDGETS), "/registry/widgets/default/a"
    table.transformer = sealed = Sealed()
    put(table, 1, "a")
    put(table, 2, "b", "other")
    stored = table.stored(key, widget("a", size=2))
    sealed.has_key = False
    with pytest.raises(UnreadableObject, match=r"^no key$"):
        table.read_entry(key, stored, 3)
    table.hide(key, "no key", 3)
    with pytest.raises(UnreadableObject, match=r"^no key$"):
        table.check_readable(key)
    for selection in (Selection(""), Selection("default")):
        with pytest.raises(UnreadableObject, match=f'^unable to transform key "{key}": no key$'):
            table.page(selection, "", 0)
    assert names(table, Selection("other")) == ["other/b"]
    with pytest.raises(Compacted):
        table.ring.after(2)

    state = table.state
    sealed.has_key = True
    table.recover([table.read_entry(key, stored, 3)], 3)
    assert names(table, Selection("")) == ["default/a", "other/b"]
    assert table.state != state, "whoever keeps what is made of the objects looks again"
    with pytest.raises(Compacted):
        table.changes_after(state)
    assert table.changes_after(table.state) == []


def test_an_unreadable_object_goes_when_it_is_deleted_or_written_again() -> None:
    table, key = Table(WIDGETS), "/registry/widgets/default/a"
    table.hide(key, "no key", 1)
    put(table, 2, "a")
    assert names(table, Selection("")) == ["default/a"]
    table.hide(key, "no key", 3)
    assert table.remove(key, 4) is None
    assert names(table, Selection("")) == []


def test_values_without_a_transformer() -> None:
    table, key = Table(WIDGETS), "/registry/widgets/default/a"
    assert table.stored(key, widget("a")) == widget("a")
    assert not table.is_stale(key, widget("a"))
    with pytest.raises(UnreadableObject, match="identity transformer tried to read encrypted data"):
        table.read_entry(key, b"k8s:enc:aesgcm:v1:k:x", 1)
    table.transformer = Sealed()
    assert table.is_stale(key, widget("a"))
