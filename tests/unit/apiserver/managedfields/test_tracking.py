"""Owners that are looked up by the outline of a write are those that computing them anew gives."""

import copy

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.codec.body import decode_object
from apiserver.managedfields import manager, tracking
from apiserver.managedfields.manager import Writer
from apiserver.request.query import WriteOptions
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.networking.networkpolicy import RESOURCE as POLICIES
from kubeapi.scheduling.priorityclass import RESOURCE as PRIORITY_CLASSES

TIMES = [f"2026-01-31T10:00:0{second}Z" for second in range(9)]
WORDS = st.sampled_from(["a", "b"])
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", 'odd"\\é'])
CONDITIONS = st.lists(
    st.fixed_dictionaries({"type": WORDS, "status": WORDS}, optional={"reason": WORDS}), max_size=2
)  # fmt: skip
STATUS = st.fixed_dictionaries(
    {},
    optional={
        "phase": WORDS,
        "podIP": ADDRESSES,
        "podIPs": st.lists(ADDRESSES.map(lambda ip: {"ip": ip}), max_size=2),
        "conditions": CONDITIONS,
        "containerStatuses": st.lists(st.fixed_dictionaries({"name": WORDS}), max_size=1),
    },
)
META = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(WORDS, WORDS, max_size=2),
        "finalizers": st.lists(ADDRESSES, max_size=2),
        "ownerReferences": st.lists(ADDRESSES.map(lambda uid: {"uid": uid, "name": "n", "kind": "K"}), max_size=2),
    },
)
PORTS = st.lists(st.fixed_dictionaries({"containerPort": st.integers(0, 2)}, optional={"protocol": WORDS}), max_size=2)
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": WORDS}, optional={"image": WORDS, "ports": PORTS, "args": st.lists(WORDS)}),
    min_size=1,
    max_size=2,
)
DOCUMENTS = st.fixed_dictionaries(
    {"metadata": META, "spec": st.fixed_dictionaries({"containers": CONTAINERS})}, optional={"status": STATUS}
)
WRITES = st.lists(
    st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(["", "status", "scale"]), DOCUMENTS), max_size=4
)


def make(document, resource=PODS):
    named = copy.deepcopy(document)
    named.setdefault("metadata", {})["name"] = "x"
    return decode_object(resource, orjson.dumps(named))


@settings(max_examples=60)
@given(DOCUMENTS, WRITES, st.lists(st.sampled_from(TIMES), min_size=5, max_size=5))
def test_looked_up_owners_are_the_computed_ones(first, writes, times):
    old = make(first)
    owners = tracking.created(old, None, PODS, WriteOptions(field_manager="one"), times[0])
    expected = manager.created([], tracking._document(old, ""), PODS, Writer("one", "v1", "", times[0]))
    assert tracking.decode_entries(owners) == expected
    for time, (who, subresource, document) in zip(times[1:], writes, strict=False):
        new = make(document)
        entries = expected
        if entries:
            parts = tracking._document(old, subresource), tracking._document(new, subresource)
            writer = Writer(who, "v1", subresource, "" if subresource == "scale" else time)
            expected = manager.updated(entries, *parts, PODS, writer)
        options = WriteOptions(field_manager=who)
        owners = tracking.updated(new, old, None, owners, PODS, options, subresource, time)
        assert tracking.decode_entries(owners) == expected
        old = new


def test_objects_of_one_shape_share_one_recipe():
    options = WriteOptions(user_agent=b"kubelet/v1.35.0 (linux)")
    recipes = tracking._RECIPES._recipes
    container = {"name": "c", "image": "only-here"}

    def run(ip):
        old = make({"spec": {"containers": [container]}})
        owners = tracking.created(old, None, PODS, options, TIMES[0])
        new = make({"spec": {"containers": [container]}, "status": {"podIPs": [{"ip": ip}], "reason": ip}})
        owners = tracking.updated(new, old, None, owners, PODS, options, "status", TIMES[int(ip[-1])])
        return owners, len(recipes)

    (first, kept), (second, kept_then) = run("10.0.0.1"), run("10.0.0.2")
    assert kept == kept_then
    assert second == first.replace(b"10.0.0.1", b"10.0.0.2").replace(b":01Z", b":02Z")
    assert tracking.decode_entries(second)[1].manager == "kubelet"


def test_items_of_sets_share_one_recipe_and_names_with_escapes_have_none():
    options = WriteOptions(field_manager="sets")

    def create(finalizer, uid):
        meta = {"finalizers": [finalizer], "ownerReferences": [{"uid": uid, "name": "n", "kind": "K"}]}
        pod = make({"metadata": meta, "spec": {"containers": [{"name": "c"}]}})
        return tracking.created(pod, None, PODS, options, TIMES[0]), len(tracking._RECIPES._recipes)

    (plain, kept), (other, kept_then) = create("a/x", "1"), create("b/y", "2")
    assert kept == kept_then
    assert other == plain.replace(b"a/x", b"b/y").replace(b'uid\\":\\"1', b'uid\\":\\"2')
    odd, _ = create('a"x', '1"')
    (entry,) = tracking.decode_entries(odd)
    assert 'v:"a\\"x"' in entry.fieldsV1["f:metadata"]["f:finalizers"]


def test_a_zero_of_a_new_object_has_another_owner_than_a_value():
    options = WriteOptions(field_manager="m")
    owners = [
        tracking.created(make({"value": value}, PRIORITY_CLASSES), None, PRIORITY_CLASSES, options, TIMES[0])
        for value in (0, 7)
    ]
    assert b"f:value" not in owners[0]
    assert b"f:value" in owners[1]


def test_an_empty_atomic_struct_of_a_new_object_has_another_owner_than_a_full_one():
    options = WriteOptions(field_manager="m")
    owners = [
        tracking.created(make({"spec": {"podSelector": selector}}, POLICIES), None, POLICIES, options, TIMES[0])
        for selector in ({"matchLabels": {"a": "b"}}, {})
    ]
    assert b"f:podSelector" in owners[0]
    assert b"f:podSelector" not in owners[1]


def test_entries_with_times_of_other_forms_are_computed():
    options = WriteOptions(field_manager="m")
    old = make({"spec": {"containers": [{"name": "c"}]}})
    entries = tracking.decode_entries(tracking.created(old, None, PODS, options, TIMES[0]))
    entries[0].time = "2026-01-31T10:00:00.5+01:00"
    new = make({"spec": {"containers": [{"name": "c"}]}, "metadata": {"labels": {"a": "b"}}})
    stored = tracking.encode_entries(entries)
    other = WriteOptions(field_manager="n")
    times = [
        entry.time
        for entry in tracking.decode_entries(tracking.updated(new, old, None, stored, PODS, other, "", TIMES[1]))
    ]
    assert times == [entries[0].time, TIMES[1]]


def test_a_manager_that_looks_like_a_list_key_keeps_its_name():
    manager_name = 'k:{"ip":"10.0.0.1"}'
    options = WriteOptions(field_manager=manager_name)
    for address in ("10.0.0.1", "10.0.0.2"):
        pod = make({"spec": {"hostAliases": [{"ip": address}], "containers": [{"name": "c", "image": "aliased"}]}})
        (entry,) = tracking.decode_entries(tracking.created(pod, None, PODS, options, TIMES[0]))
        assert entry.manager == manager_name
        assert f'k:{{"ip":"{address}"}}' in entry.fieldsV1["f:spec"]["f:hostAliases"]


def test_bodies_that_differ_in_their_names_share_their_owners():
    def owners(text):
        pod, body = decode_object(PODS, text), text
        how = (None, PODS, WriteOptions(field_manager="m"), "2026-01-31T10:00:00Z")
        assert tracking.created(pod, *how, body=body) == tracking.created(pod, *how)
        return tracking.created(pod, *how, body=body)

    def text(name, container="c", **spec):
        containers = [{"name": container, "image": "i"}]
        return orjson.dumps({"spec": {"containers": containers, **spec}, "metadata": {"name": name}})

    assert owners(text("a")) is owners(text("b"))
    assert owners(text("a", hostname="a")) != owners(text("a"))
    assert b'k:{\\"name\\":\\"a\\"}' in owners(text("a", "a"))
    assert b'k:{\\"name\\":\\"b\\"}' in owners(text("b", "b"))
    assert b'k:{\\"name\\":\\"b\\"}' in owners(text("a", "b"))


def test_bodies_that_differ_in_the_place_of_a_name_have_their_own_owners():
    owners = []
    for members in (b'"annotations":{"name":"a"},"labels":{}', b'"annotations":{},"labels":{"name":"a"}'):
        body = b'{"metadata":{%b,"name":"a"},"spec":{"containers":[{"name":"c"}]}}' % members
        how = (None, PODS, WriteOptions(field_manager="places"), TIMES[0])
        owners.append(tracking.created(decode_object(PODS, body), *how, body=body))
    assert [b"f:annotations" in each for each in owners] == [True, False]
    assert [b"f:labels" in each for each in owners] == [False, True]
