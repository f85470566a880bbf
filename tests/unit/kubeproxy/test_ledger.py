"""What a change of some fragments adds to all of them, and takes away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubeproxy.ledger import NOTHING, Delta, Fragment, Ledger

MAP = ("map", "service-ips")


def fragment(chain: str, *rules: str, **entries: str) -> Fragment:
    return Fragment({("chain", chain): rules}, {MAP: entries})


def test_a_fragment_is_added_changed_and_taken_away() -> None:
    ledger = Ledger()
    added = ledger.change({"web": fragment("web", "a", x="goto web")})
    assert added == Delta({("chain", "web"): ("a",)}, [], {}, {MAP: {"x": "goto web"}})
    changed = ledger.change({"web": fragment("web", "b", x="goto web", y="goto web")})
    assert changed == Delta({("chain", "web"): ("b",)}, [], {}, {MAP: {"y": "goto web"}})
    assert not ledger.change({"web": fragment("web", "b", x="goto web", y="goto web")})
    gone = ledger.change({"web": NOTHING})
    assert gone == Delta({}, [("chain", "web")], {MAP: {"x": "goto web", "y": "goto web"}}, {})


def test_another_value_is_a_removal_and_an_addition() -> None:
    ledger = Ledger()
    ledger.change({"web": fragment("web", x="goto web")})
    delta = ledger.change({"web": fragment("web", x="drop")})
    assert (delta.removed, delta.added) == ({MAP: {"x": "goto web"}}, {MAP: {"x": "drop"}})


def test_an_entry_goes_to_a_new_owner_in_one_change() -> None:
    ledger = Ledger()
    ledger.change({"old": fragment("old", x="goto old")})
    delta = ledger.change({"new": fragment("new", x="goto new"), "old": NOTHING})
    assert (delta.removed, delta.added) == ({MAP: {"x": "goto old"}}, {MAP: {"x": "goto new"}})
    assert ledger.entries[MAP] == {"x": "goto new"}


def test_who_has_an_entry_keeps_it_until_it_lets_go() -> None:
    ledger = Ledger()
    ledger.change({"first": fragment("first", x="goto first")})
    assert not ledger.change({"second": fragment("second", x="goto second")}).added
    assert ledger.entries[MAP] == {"x": "goto first"}
    assert ledger.change({"first": NOTHING}).added == {MAP: {"x": "goto second"}}
    assert ledger.change({"second": NOTHING}).removed == {MAP: {"x": "goto second"}}


FRAGMENTS = st.builds(
    lambda owner, entries: Fragment({}, {MAP: entries}) if entries else NOTHING,
    st.none(),
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["a", "b"])),
)


@given(st.lists(st.dictionaries(st.sampled_from(["one", "two", "three"]), FRAGMENTS, min_size=1), max_size=8))
def test_whoever_follows_the_deltas_has_what_the_ledger_has(changes: list[dict[str, Fragment]]) -> None:
    ledger, follower = Ledger(), dict[str, str]()
    wanted: dict[str, Fragment] = {}
    for change in changes:
        delta = ledger.change(change)
        for entry, value in delta.removed.get(MAP, {}).items():
            assert follower.pop(entry) == value
        for entry, value in delta.added.get(MAP, {}).items():
            assert entry not in follower
            follower[entry] = value
        wanted |= change
        assert follower == ledger.entries.get(MAP, {})
        values = [(entry, value) for item in wanted.values() for entry, value in item.entries.get(MAP, {}).items()]
        assert set(follower) == {entry for entry, _ in values}
        assert set(follower.items()) <= set(values)
