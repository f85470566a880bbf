"""Objects walked along their models: what an apply names, what differs, what merges and what goes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.managedfields.fieldset import difference, paths
from apiserver.managedfields.shapes import shape_of
from apiserver.managedfields.typed import (
    NotTyped,
    applied_set,
    compare,
    merge,
    remove,
    skeleton,
    whole_set,
    with_structs,
)
from kubeapi.apps.deployment import Deployment
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.model import Service
from kubeapi.core.serviceaccount import ServiceAccount
from kubeapi.scheduling.priorityclass import PriorityClass

POD = shape_of(Pod)


def pod(*containers, **spec):
    return {"spec": {"containers": list(containers), **spec}}


def test_an_apply_names_leaves_items_and_keys():
    config = pod(
        {"name": "a", "env": [{"name": "X", "value": "1"}], "args": ["x"], "resources": {"limits": {"cpu": "1"}}},
        nodeSelector={"a": "b"},
        securityContext={},
        hostname=None,
    )
    config["metadata"] = {"labels": {"l": "1"}, "finalizers": ["x/y"], "annotations": {}}
    item = {
        ".": {},
        "f:name": {},
        "f:env": {'k:{"name":"X"}': {".": {}, "f:name": {}, "f:value": {}}},
        "f:args": {},
        "f:resources": {"f:limits": {"f:cpu": {}}},
    }
    assert applied_set(config, POD) == {
        "f:spec": {
            "f:containers": {'k:{"name":"a"}': item},
            "f:nodeSelector": {},
            "f:securityContext": {},
            "f:hostname": {},
        },
        "f:metadata": {"f:labels": {"f:l": {}}, "f:finalizers": {'v:"x/y"': {}}, "f:annotations": {}},
    }


def test_a_key_left_out_has_its_default():
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]
    found = applied_set(pod({"name": "a", "ports": ports}), POD)
    assert set(found["f:spec"]["f:containers"]['k:{"name":"a"}']["f:ports"]) == {
        'k:{"containerPort":80,"protocol":"TCP"}',
        'k:{"containerPort":80,"protocol":"UDP"}',
    }
    service = applied_set({"spec": {"ports": [{"port": 80}]}}, shape_of(Service))
    assert list(service["f:spec"]["f:ports"]) == ['k:{"port":80,"protocol":"TCP"}']


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"spec": {"zork": 1}}, ".spec.zork: field not declared in schema"),
        ({"spec": {"containers": {}}}, ".spec.containers: expected list, got map"),
        ({"spec": []}, ".spec: expected map, got list"),
        (pod("text"), 'omits key field "name"'),
        (pod({"name": "a"}, {"name": "a"}), '.spec.containers: duplicate entries for key [name="a"]'),
        ({"a": 1, "b": 2}, "errors:\n  .a: field not declared in schema\n  .b: field not declared in schema"),
    ],
)
def test_what_is_not_of_the_type_is_told(config, said):
    with pytest.raises(NotTyped) as error:
        applied_set(config, POD)
    assert said in str(error.value)


def test_a_new_object_owns_all_but_what_is_always_there():
    shape = shape_of(Deployment)
    assert skeleton(shape) == {
        "metadata": {},
        "spec": {"template": {"metadata": {}, "spec": {"containers": []}}, "strategy": {}},
        "status": {},
    }
    template = {"spec": {"hostname": "h", "containers": [{"name": "a"}]}}
    document = {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}, "template": template}}
    changed, removed = compare(skeleton(shape), document, shape)
    assert changed == {
        "f:spec": {
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
            "f:template": {
                "f:spec": {"f:hostname": {}, "f:containers": {'k:{"name":"a"}': {".": {}, "f:name": {}}}},
            },
        }
    }
    assert set(paths(removed)) == {("f:metadata",), ("f:status",), ("f:spec", "f:template", "f:metadata")}


def test_a_zero_that_is_always_encoded_belongs_to_nobody_until_it_is_another():
    shape = shape_of(PriorityClass)
    assert compare(skeleton(shape), {"value": 0, "description": "d"}, shape)[0] == {"f:description": {}}
    assert compare(skeleton(shape), {"value": 7}, shape)[0] == {"f:value": {}}


def test_items_of_the_same_key_are_one_value():
    twice = pod({"name": "a", "image": "1"}, {"name": "a", "image": "2"}, {"name": "b"})
    changed, _ = compare({"spec": {"containers": []}}, twice, POD)
    assert changed["f:spec"]["f:containers"] == {'k:{"name":"a"}': {}, 'k:{"name":"b"}': {".": {}, "f:name": {}}}
    assert merge(twice, pod({"name": "c"}), POD) == pod(*twice["spec"]["containers"], {"name": "c"})
    only_b = {"f:spec": {"f:containers": {'k:{"name":"b"}': {".": {}}}}}
    assert remove(twice, only_b, POD) == pod(*twice["spec"]["containers"][:2])


def test_an_item_without_its_key_can_not_be_compared():
    with pytest.raises(NotTyped, match='omits key field "name"'):
        compare({}, {"secrets": [{}]}, shape_of(ServiceAccount))


def test_differences_are_of_items_by_key_and_of_atoms_as_one():
    old = pod({"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}, nodeSelector={"k": "v", "l": "v"})
    new = pod({"name": "c", "image": "1"}, {"name": "a", "image": "2", "args": ["x"]}, nodeSelector={"k": "v"})
    changed, removed = compare(old, new, POD)
    assert changed == {
        "f:spec": {
            "f:nodeSelector": {},
            "f:containers": {
                'k:{"name":"a"}': {"f:image": {}},
                'k:{"name":"c"}': {".": {}, "f:name": {}, "f:image": {}},
            },
        }
    }
    assert removed == {"f:spec": {"f:containers": {'k:{"name":"b"}': {".": {}, "f:name": {}}}}}
    assert compare(old, pod(*reversed(old["spec"]["containers"]), nodeSelector={"l": "v", "k": "v"}), POD) == ({}, {})


def names(document):
    return [item["name"] for item in document["spec"]["containers"]]


@pytest.mark.parametrize(
    ("live", "config", "merged"),
    [
        ("abc", "cax", "bcax"),
        ("ab", "xb", "axb"),
        ("abc", "", "abc"),
        ("", "ab", "ab"),
        ("abcd", "bd", "abcd"),
        ("abcd", "db", "acdb"),
        ("sab", "ab", "sab"),
    ],
)
def test_items_stand_in_the_order_of_the_configuration(live, config, merged):
    result = merge(pod(*({"name": n} for n in live)), pod(*({"name": n} for n in config)), POD)
    assert "".join(names(result)) == merged


def test_merge_goes_into_items_and_replaces_atoms():
    live = pod(
        {"name": "a", "image": "1", "args": ["x"], "env": [{"name": "A", "value": "1"}]}, nodeSelector={"k": "v"}
    )
    config = pod({"name": "a", "args": ["y"], "env": [{"name": "B", "value": "2"}]}, nodeSelector={"l": "w"})
    assert merge(live, config, POD) == pod(
        {
            "name": "a",
            "image": "1",
            "args": ["y"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        },
        nodeSelector={"l": "w"},
    )
    assert merge({"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": None}}, POD) == {
        "metadata": {"labels": {"a": "1"}}
    }


def test_items_with_equal_keys_are_not_lost():
    """Of node addresses there may be two of one type, though their list is keyed by it."""
    addresses = [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalIP", "address": "fd00::1"}]
    shape, live = shape_of(Node), {"status": {"addresses": addresses}}
    config = {"status": {"addresses": [{"type": "Hostname", "address": "h"}]}}
    assert merge(live, config, shape)["status"]["addresses"] == [*addresses, *config["status"]["addresses"]]
    assert remove(live, {"f:spec": {}}, shape) == live


def test_what_is_removed_goes_with_all_below_it():
    document = pod({"name": "a", "image": "1", "tty": True}, {"name": "b"}, hostname="h")
    fields = {"f:spec": {"f:hostname": {}, "f:containers": {'k:{"name":"a"}': {"f:image": {}}, 'k:{"name":"b"}': {}}}}
    assert remove(document, fields, POD) == pod({"name": "a", "tty": True})
    assert remove(
        {"metadata": {"labels": {"a": "1"}}, "kind": "Pod"}, {"f:metadata": {"f:labels": {"f:a": {}}}}, POD
    ) == {"kind": "Pod"}


def test_a_struct_goes_with_its_last_field_and_a_map_does_not_matter():
    fields = applied_set(pod({"name": "a", "livenessProbe": {"httpGet": {"path": "/"}}}), POD)
    probe = with_structs(fields, POD)["f:spec"]["f:containers"]['k:{"name":"a"}']["f:livenessProbe"]
    assert probe == {".": {}, "f:httpGet": {".": {}, "f:path": {}}}
    labels = {"f:metadata": {"f:labels": {"f:a": {}}}}
    assert with_structs(labels, POD) == {"f:metadata": {".": {}, "f:labels": {".": {}, "f:a": {}}}}


CONTAINERS = st.lists(
    st.builds(
        lambda name, rest: {"name": name, **rest},
        st.sampled_from("abc"),
        st.dictionaries(st.sampled_from(["image", "workingDir"]), st.sampled_from("12"), max_size=2),
    ),
    max_size=3,
    unique_by=lambda item: item["name"],
)
DOCUMENTS = st.builds(lambda items, labels: {**pod(*items), "metadata": {"labels": labels}}, CONTAINERS,
                      st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3))  # fmt: skip


@settings(max_examples=60)
@given(DOCUMENTS, DOCUMENTS)
def test_what_is_merged_is_there_and_what_is_removed_is_not(live, config):
    wanted = applied_set(config, POD)
    merged = merge(live, config, POD)
    assert not difference(wanted, whole_set(merged, POD))
    assert merge(merged, config, POD) == merged
    changed, removed = compare(live, merged, POD)
    assert not removed
    assert not difference(changed, whole_set(config, POD))
    left = remove(merged, wanted, POD) or {}
    assert not any(path in set(paths(whole_set(left, POD))) for path in paths(wanted))


@settings(max_examples=60)
@given(DOCUMENTS, DOCUMENTS)
def test_comparing_the_other_way_round_swaps_what_came_and_went(old, new):
    changed, removed = compare(old, new, POD)
    back, gone = compare(new, old, POD)
    assert not difference(gone, changed)
    assert not difference(removed, back)
    assert compare(old, old, POD) == ({}, {})
