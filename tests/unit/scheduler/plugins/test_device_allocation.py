"""Which devices claims get on a node, and what is written down of that."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

import pytest

from apimachinery.model import to_dict
from kubeapi.resource.resourceclaim.model import ResourceClaim
from scheduler.plugins.devices._allocator import NodeUnfit, Patience, allocate
from scheduler.plugins.devices._inventory import DeviceId, Inventory
from scheduler.plugins.devices._requests import AllocationError, ClaimNeeds, ClassMissing, read_claim
from scheduler.plugins.devices._results import allocation_result, preference
from tests.kits.devices import DRIVER, asks, claim, device, device_class, first_of, slice_of

CLASSES = {"gpu": device_class(), "nic": device_class("nic", 'device.driver == "nic.example.com"')}


def needs(*claims: ResourceClaim, classes: dict[str, Any] = CLASSES) -> list[ClaimNeeds]:
    return [read_claim(item, classes.get) for item in claims]


def given(
    slices: Iterable[Any], *claims: ResourceClaim, used: Iterable[str] = (), node: str = "n1", **labels: str
) -> list[list[str]] | None:
    """The names of the devices that each claim gets on the node, of which those `used` ("pool/device") are taken."""
    taken = {DeviceId(DRIVER, *item.split("/")) for item in used}
    placed = allocate(needs(*claims), Inventory(slices).of_node(node, labels), taken, Patience())
    return None if placed is None else [[item.candidate.id.device for item in devices] for devices in placed]


TWO = [slice_of("n1", "a", "b")]


class TestCounts:
    @pytest.mark.parametrize(
        ("requests", "used", "found"),
        [
            ([asks()], [], ["a"]),
            ([asks()], ["n1/a"], ["b"]),
            ([asks(count=2)], [], ["a", "b"]),
            ([asks(count=2)], ["n1/b"], None),
            ([asks(count=3)], [], None),
            ([asks("x"), asks("y")], [], ["a", "b"]),
            ([asks("x"), asks("y", count=2)], [], None),
            ([asks(count=None)], [], ["a", "b"]),
            ([asks(count=None)], ["n1/a"], None),
            ([asks("x"), asks("y", count=None)], [], None),
            ([asks(cls="nic")], [], None),
            ([asks(cls="nic", count=None)], [], None),
            ([asks(admin=True)], ["n1/a"], ["a"]),
            ([asks(count=None, admin=True)], ["n1/a"], ["a", "b"]),
            ([asks("x", count=None, admin=True), asks("y")], [], None),  # not twice in one claim
            ([asks("x"), asks("y", admin=True)], [], ["a", "b"]),
        ],
    )
    def test_devices_of_one_claim(self, requests: list[Any], used: list[str], found: list[str] | None) -> None:
        assert given(TWO, claim("c", *requests), used=used) == (None if found is None else [found])

    def test_claims_of_a_pod_share_nothing(self) -> None:
        assert given(TWO, claim("c"), claim("d")) == [["a"], ["b"]]
        assert given(TWO, claim("c"), claim("d"), claim("e")) is None

    def test_an_administrator_shares_a_device_with_another_claim_of_the_pod(self) -> None:
        everything = claim("all", asks(count=None, admin=True))
        assert given(TWO, everything, claim("c", asks(count=1, admin=True))) == [["a", "b"], ["a"]]

    def test_a_claim_has_no_more_than_32_devices(self) -> None:
        slices = [slice_of("n1", *(f"d{number}" for number in range(40)))]
        many = given(slices, claim("c", asks(count=32)))
        assert many is not None
        assert len(many[0]) == 32
        assert given(slices, claim("c", asks("x", count=20), asks("y", count=20))) is None
        assert given(slices, claim("c", asks(count=None))) is None


class TestSelectors:
    DEVICES = (
        device("old", "8Gi", model="x", version="v1.2.3", cores=4, shared=False),
        device("new", "16Gi", model="y", version="v2.0.0", cores=8, shared=True),
    )

    @pytest.mark.parametrize(
        ("expression", "name"),
        [
            (f'device.attributes["{DRIVER}"].model == "y"', "new"),
            (f'device.attributes["{DRIVER}"].cores < 5', "old"),
            (f'device.attributes["{DRIVER}"].shared', "new"),
            (f'device.attributes["{DRIVER}"].version.isGreaterThan(semver("1.9.0"))', "new"),
            (f'device.capacity["{DRIVER}"].memory.compareTo(quantity("10Gi")) >= 0', "new"),
            (f'"color" in device.attributes["{DRIVER}"] || device.attributes["{DRIVER}"].model == "y"', "new"),
            (f'device.attributes["elsewhere"].?model.orValue("y") == device.attributes["{DRIVER}"].model', "new"),
            (f'device.attributes[?"{DRIVER}"].model.orValue("") == "y"', "new"),
            ('!("elsewhere" in device.attributes)', "old"),
            (f'cel.bind(gpu, device.attributes["{DRIVER}"], gpu.model == "y" && gpu.cores == 8)', "new"),
        ],
    )
    def test_what_a_device_must_be(self, expression: str, name: str) -> None:
        assert given([slice_of("n1", *self.DEVICES)], claim("c", asks("r", expression))) == [[name]]

    def test_all_selectors_of_class_and_claim_hold(self) -> None:
        model, cores = (f'device.attributes["{DRIVER}"].{text}' for text in ('model == "y"', "cores == 4"))
        assert given([slice_of("n1", *self.DEVICES)], claim("c", asks("r", model, cores))) is None

    def test_a_domain_of_its_own(self) -> None:
        domain = device("a") | {"attributes": {"other.com/kind": {"string": "k"}}}
        asked = claim("c", asks("r", 'device.attributes["other.com"].kind == "k"'))
        assert given([slice_of("n1", "z", domain)], asked, used=["n1/z"]) == [["a"]]

    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("device.nothing", "claim default/c: selector #0: CEL compile error: "),
            ("1 + 1", "claim default/c: selector #0: CEL compile error: must evaluate to bool"),
            ('device.attributes["x"].y == 1', f"on device {DRIVER}/n1/a: CEL runtime error: no such key: y"),
        ],
    )
    def test_a_wrong_one_is_told(self, expression: str, message: str) -> None:
        with pytest.raises(AllocationError, match=message.replace("+", r"\+").replace("(", r"\(")):
            given(TWO, claim("c", asks("r", expression)))

    def test_a_class_that_is_wrong_is_named(self) -> None:
        classes = {"gpu": device_class("gpu", 'device.attributes["x"].y')}
        with pytest.raises(AllocationError, match="class gpu: selector #0 on device"):
            allocate(needs(claim(), classes=classes), Inventory(TWO).of_node("n1", {}), set(), Patience())


class TestConstraints:
    NUMA = [
        slice_of("n1", device("a", numa=0), device("b", numa=1), device("c", numa=1), device("d"), device("e", numa=0))
    ]

    def same(self, *requests: str) -> list[dict[str, Any]]:
        return [{"requests": list(requests), "matchAttribute": f"{DRIVER}/numa"}]

    def test_devices_have_a_value_in_common(self) -> None:
        asked = claim("c", asks("x"), asks("y"), constraints=self.same())
        assert given(self.NUMA, asked) == [["a", "e"]]
        assert given(self.NUMA, asked, used=["n1/e"]) == [["b", "c"]]
        assert given(self.NUMA, asked, used=["n1/e", "n1/c"]) is None

    def test_other_requests_are_not_bound_by_it(self) -> None:
        asked = claim("c", asks("x"), asks("y"), asks("z"), constraints=self.same("x", "z"))
        assert given(self.NUMA, asked) == [["a", "b", "e"]]

    def test_an_alternative_is_bound_as_its_request_or_by_itself(self) -> None:
        for name in ("y", "y/two"):
            either = first_of("y", asks("two", count=2), asks("one"))
            asked = claim("c", asks("x"), either, constraints=self.same("x", name))
            assert given(self.NUMA, asked) == ([["a", "e"]] if name == "y" else [["a", "b"]])

    def test_all_devices_that_differ_are_no_answer(self) -> None:
        with pytest.raises(NodeUnfit, match=r"cannot add device .*/b because a claim constraint"):
            given(self.NUMA, claim("c", asks(count=None), constraints=self.same()))

    def test_types_differ_even_where_values_look_alike(self) -> None:
        slices = [slice_of("n1", device("a", numa=1), device("b", numa="1"))]
        assert given(slices, claim("c", asks(count=2), constraints=self.same())) is None

    def test_one_that_is_not_known_is_told(self) -> None:
        with pytest.raises(AllocationError, match="claim default/c, constraint #0: empty constraint"):
            needs(claim("c", constraints=[{"requests": []}]))


class TestAlternatives:
    BIG, SMALL = (f'device.attributes["{DRIVER}"].size == "{size}"' for size in ("big", "small"))
    SLICES = [slice_of("n1", device("s1", size="small"), device("s2", size="small"), device("b", size="big"))]

    def asked(self) -> ResourceClaim:
        return claim("c", first_of("r", asks("big", self.BIG), asks("two", self.SMALL, count=2), asks("one")))

    @pytest.mark.parametrize(
        ("used", "found", "rate"),
        [([], ["b"], 8), (["n1/b"], ["s1", "s2"], 7), (["n1/b", "n1/s1"], ["s2"], 6)],
    )
    def test_the_first_that_is_there(self, used: list[str], found: list[str], rate: int) -> None:
        assert given(self.SLICES, self.asked(), used=used) == [found]
        taken = {DeviceId(DRIVER, *item.split("/")) for item in used}
        (asked,) = needs(self.asked())
        placed = allocate([asked], Inventory(self.SLICES).of_node("n1", {}), taken, Patience())
        assert placed is not None
        assert preference(asked, placed[0]) == rate

    def test_a_later_request_makes_an_earlier_one_take_its_second_choice(self) -> None:
        asked = claim("c", first_of("r", asks("big", self.BIG), asks("small", self.SMALL)), asks("q", self.BIG))
        assert given(self.SLICES, asked) == [["s1", "b"]]


class TestPools:
    def test_only_the_newest_generation_counts(self) -> None:
        old = slice_of("n1", "a", name="old")
        new = slice_of("n1", "b", name="new", generation=2)
        assert given([old, new], claim()) == given([new, old], claim()) == [["b"]]

    def test_an_incomplete_pool_gives_nothing(self) -> None:
        part = slice_of("n1", "a", pool="p", count=2)
        assert given([part], claim()) is None
        assert given([part, *TWO], claim()) == [["a"]]
        with pytest.raises(NodeUnfit, match=f"all devices, but resource pool {DRIVER}/p is currently being updated"):
            given([part, *TWO], claim("c", asks(count=None)))
        rest = slice_of("n2", "c", pool="p", name="rest", count=2)
        assert given([part, rest], claim()) == [["a"]]

    def test_a_pool_with_a_name_twice_is_invalid(self) -> None:
        twice = [slice_of("n1", "a", pool="p", count=2), slice_of("n1", "a", pool="p", name="again", count=2)]
        with pytest.raises(NodeUnfit, match="invalid resource pools were encountered"):
            given(twice, claim())
        assert given([*twice, *TWO], claim()) == [["a"]]
        with pytest.raises(NodeUnfit, match="is currently invalid"):
            given([*twice, *TWO], claim("c", asks(count=None)))

    def test_who_reaches_a_device(self) -> None:
        zone = {"key": "zone", "operator": "In", "values": ["z"]}
        selected = slice_of("", "z", pool="zone", nodeSelector={"nodeSelectorTerms": [{"matchExpressions": [zone]}]})
        slices = [slice_of("n1", "a"), slice_of("*", "w", pool="world"), selected]
        everything = claim("c", asks(count=None))
        assert given(slices, everything) == [["a", "w"]]
        assert given(slices, everything, node="n2", zone="z") == [["w", "z"]]
        assert given(slices, everything, node="n2", zone="y") == [["w"]]

    def test_what_was_worked_out_for_a_slice_is_kept(self) -> None:
        before = Inventory(TWO)
        after = Inventory([*TWO, slice_of("n2", "c")], before)
        assert after.of_node("n1", {}).candidates == before.of_node("n1", {}).candidates
        changed = Inventory([slice_of("n1", "z", generation=2)], before)
        assert [item.id.device for item in changed.of_node("n1", {}).candidates] == ["z"]


class TestResults:
    def result(self, slices: Iterable[Any], asked: ResourceClaim, classes: dict[str, Any] = CLASSES) -> dict[str, Any]:
        (one,) = needs(asked, classes=classes)
        placed = allocate([one], Inventory(slices).of_node("n1", {"zone": "z"}), set(), Patience())
        assert placed is not None
        found: dict[str, Any] = to_dict(allocation_result(one, placed[0]))
        return found

    def test_devices_and_the_node_that_has_them(self) -> None:
        asked = claim("c", first_of("r", asks("x")), asks("q", admin=True))
        ids = {"driver": DRIVER, "pool": "n1"}
        name = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
        assert self.result(TWO, asked) == {
            "devices": {
                "results": [
                    ids | {"request": "r/x", "device": "a"},
                    ids | {"request": "q", "device": "b", "adminAccess": True},
                ]
            },
            "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [name]}]},
        }

    def test_devices_of_several_nodes(self) -> None:
        terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z"]}]}]
        slices = [slice_of("", name, pool=name, nodeSelector={"nodeSelectorTerms": terms}) for name in ("a", "b")]
        assert self.result([slice_of("*", "w", pool="w")], claim()).keys() == {"devices"}
        selector = self.result([*slices, slice_of("*", "w", pool="w")], claim("c", asks(count=3)))["nodeSelector"]
        assert selector == {"nodeSelectorTerms": terms}

    def test_parameters_of_classes_then_of_the_claim(self) -> None:
        def parameters(text: str, *requests: str) -> dict[str, Any]:
            return {"requests": list(requests)} | {"opaque": {"driver": DRIVER, "parameters": {"is": text}}}

        classes = {
            "gpu": device_class(config=[{"opaque": parameters("class")["opaque"]}]),
            "plain": device_class("plain"),
        }
        config = [parameters("all"), parameters("x", "x"), parameters("one", "y/one"), parameters("two", "y/two")]
        either = first_of("y", asks("one", "false"), asks("two"))
        asked = claim("c", asks("x"), either, asks("z", cls="plain"), config=config)
        found = self.result([slice_of("n1", "a", "b", "c")], asked, classes)["devices"]["config"]
        said = [(item["source"], item.get("requests"), item["opaque"]["parameters"]["is"]) for item in found]
        assert said == [
            ("FromClass", ["x", "y/two"], "class"),
            ("FromClaim", None, "all"),
            ("FromClaim", ["x"], "x"),
            ("FromClaim", ["y/two"], "two"),
        ]
        assert (
            "requests"
            not in self.result(TWO, claim("c", asks(), config=[parameters("r", "r")]))["devices"]["config"][0]
        )


def test_a_class_that_is_missing_is_named_with_its_request() -> None:
    with pytest.raises(ClassMissing, match="request r: device class none does not exist"):
        needs(claim("c", asks(cls="none")))
    with pytest.raises(ClassMissing, match="request r/two: device class none does not exist"):
        needs(claim("c", first_of("r", asks("one"), asks("two", cls="none"))))


def test_the_search_finds_what_a_plain_one_finds() -> None:
    """Random devices, requests and constraints; the plain search tries all choices in order, and equal ones too."""
    chance = random.Random(7)
    found = 0
    for _ in range(300):
        devices = [device(f"d{n}", numa=chance.randrange(2), kind=chance.choice("xy")) for n in range(5)]
        used = {f"n1/d{n}" for n in range(5) if chance.random() < 0.2}
        kinds = [chance.choice(["x", "y", ""]) for _ in range(chance.randrange(1, 4))]
        wishes = [[f'device.attributes["{DRIVER}"].kind == "{kind}"'] if kind else [] for kind in kinds]
        requests = [asks(f"r{n}", *wish, count=chance.choice([1, 1, 2])) for n, wish in enumerate(wishes)]
        bound = [f"r{n}" for n in range(len(requests)) if chance.random() < 0.7]
        constraints = [{"requests": bound, "matchAttribute": f"{DRIVER}/numa"}] if bound else []
        asked = claim("c", *requests, constraints=constraints)
        expected = _plain(devices, used, requests, kinds, bound)
        assert given([slice_of("n1", *devices)], asked, used=used) == (None if expected is None else [expected])
        found += expected is not None
    assert 60 < found < 240


def _plain(
    devices: list[Any], used: set[str], requests: list[Any], kinds: list[str], bound: list[str]
) -> list[str] | None:
    slots = [
        (item["name"], kind)
        for item, kind in zip(requests, kinds, strict=True)
        for _ in range(item["exactly"]["count"])
    ]
    free = [item for item in devices if f"n1/{item['name']}" not in used]
    for chosen in itertools.permutations(free, len(slots)):
        fits = all(
            not kind or item["attributes"]["kind"]["string"] == kind
            for item, (_, kind) in zip(chosen, slots, strict=True)
        )
        numa = {
            item["attributes"]["numa"]["int"] for item, (name, _) in zip(chosen, slots, strict=True) if name in bound
        }
        if fits and len(numa) <= 1:
            return [item["name"] for item in chosen]
    return None


def test_a_search_without_end_is_given_up() -> None:
    devices = [device(f"d{n}", id=n, numa=n % 7) for n in range(60)]
    constraints = [{"requests": [], "matchAttribute": f"{DRIVER}/numa"}]
    asked = [claim(f"c{n}", asks(count=3), constraints=constraints) for n in range(20)]
    patience = Patience(500)
    node = Inventory([slice_of("n1", *devices)]).of_node("n1", {})
    with pytest.raises(NodeUnfit, match="timed out trying to allocate devices"):
        allocate(needs(*asked), node, set(), patience)
    assert patience.steps == 0
    with pytest.raises(NodeUnfit, match="timed out"):
        allocate(needs(*asked), node, set(), patience)
