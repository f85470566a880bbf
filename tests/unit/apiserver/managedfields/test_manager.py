"""Who owns what over applies and updates: the documented behaviour of server-side apply, without a server."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apimachinery.errors import Conflict
from apimachinery.meta import ManagedFieldsEntry
from apiserver.managedfields import manager
from apiserver.managedfields.fieldset import difference, path_text, paths
from apiserver.managedfields.manager import LAST_APPLIED, Writer
from apiserver.managedfields.shapes import shape_of
from apiserver.managedfields.typed import applied_set, whole_set
from kubeapi.apps.deployment import RESOURCE as DEPLOYMENTS
from kubeapi.apps.deployment import Deployment
from kubeapi.core.configmap import RESOURCE as CONFIG_MAPS
from kubeapi.core.service.resource import RESOURCE as SERVICES


def completed(document):
    """Stands in for decoding: what a null says nothing about is left out."""
    document = drop_nulls(document)
    return document, document


class Stored:
    """One object with its owners. Time passes by a second with each write."""

    def __init__(self, resource, document=None, name="x"):
        self.resource = resource
        self.document = document or {}
        self.entries = []
        self._name = name
        self._seconds = 0

    def writer(self, name, subresource=""):
        self._seconds += 1
        return Writer(
            name,
            self.resource.api_version,
            subresource,
            f"2026-01-01T00:{self._seconds // 60:02}:{self._seconds % 60:02}Z",
        )

    def apply(self, who, config, *, force=False, subresource=""):
        config = {"metadata": {"name": self._name}, **config}
        before = copy.deepcopy((self.entries, self.document, config))
        applied = manager.apply(
            self.entries, self.document, config, self.resource, self.writer(who, subresource), completed, force=force
        )
        assert (self.entries, self.document, config) == before, "arguments must not change"
        self.entries, self.document = applied.entries, applied.obj
        return applied

    def update(self, who, document, subresource=""):
        self.entries = manager.updated(
            self.entries, self.document, document, self.resource, self.writer(who, subresource)
        )
        self.document = document

    def create(self, who, document):
        self.entries = manager.created([], document, self.resource, self.writer(who))
        self.document = document

    def owners(self):
        return {(e.manager, e.operation): sorted(map(path_text, paths(e.fieldsV1))) for e in self.entries}


def drop_nulls(value):
    if isinstance(value, dict):
        return {key: drop_nulls(item) for key, item in value.items() if item is not None}
    return [drop_nulls(item) for item in value] if isinstance(value, list) else value


def data(**items):
    return {"data": items}


def conflict_of(stored, who, config, **options):
    with pytest.raises(Conflict) as error:
        stored.apply(who, config, **options)
    return error.value


def test_an_applier_owns_what_it_names_and_gives_up_what_it_names_no_more():
    stored = Stored(CONFIG_MAPS)
    stored.apply("a", data(x="1", y="1"))
    assert stored.owners() == {("a", "Apply"): [".data.x", ".data.y"]}
    stored.apply("a", data(x="2"))
    assert stored.document["data"] == {"x": "2"}
    assert stored.owners() == {("a", "Apply"): [".data.x"]}


def test_two_appliers_of_different_fields_do_not_meet():
    stored = Stored(CONFIG_MAPS)
    stored.apply("a", data(x="1"))
    stored.apply("b", data(y="1"))
    stored.apply("a", data(z="1"))
    assert stored.document["data"] == {"y": "1", "z": "1"}


def test_a_field_of_equal_value_is_shared_and_stays_until_nobody_names_it():
    stored = Stored(CONFIG_MAPS)
    stored.apply("a", data(x="1"))
    stored.apply("b", data(x="1"))
    stored.apply("a", {})
    assert stored.document["data"] == {"x": "1"}
    stored.apply("b", {})
    assert "data" not in stored.document
    assert stored.owners() == {}


def test_a_conflict_names_the_owner_and_the_field_and_force_takes_it():
    stored = Stored(CONFIG_MAPS)
    stored.apply("a", data(x="1", y="1"))
    error = conflict_of(stored, "b", data(x="2"))
    assert error.message == 'Apply failed with 1 conflict: conflict with "a": .data.x'
    assert [(c.type, c.field, c.message) for c in error.causes] == [
        ("FieldManagerConflict", ".data.x", 'conflict with "a"')
    ]
    stored.apply("b", data(x="2"), force=True)
    assert stored.owners() == {("a", "Apply"): [".data.y"], ("b", "Apply"): [".data.x"]}
    stored.apply("a", data(y="1"))
    assert stored.document["data"] == {"x": "2", "y": "1"}


def test_several_conflicts_are_told_owner_by_owner():
    stored = Stored(CONFIG_MAPS)
    stored.apply("b", data(x="1"))
    stored.update("a", data(x="1", y="1", z="1"))
    error = conflict_of(stored, "c", data(x="2", y="2", z="2"))
    assert error.message == (
        'Apply failed with 3 conflicts: conflicts with "a" using v1:\n- .data.y\n- .data.z\n'
        'conflicts with "b":\n- .data.x'
    )
    assert len(error.causes) == 3


def test_an_update_takes_what_it_changes_and_nothing_else():
    stored = Stored(CONFIG_MAPS)
    stored.apply("a", data(x="1", y="1"))
    stored.update("kubectl-edit", data(x="2", y="1"))
    assert stored.owners() == {("a", "Apply"): [".data.y"], ("kubectl-edit", "Update"): [".data.x"]}
    error = conflict_of(stored, "a", data(x="1", y="1"))
    assert 'conflict with "kubectl-edit" using v1: .data.x' in error.message
    stored.apply("a", data(x="2", y="1"))
    assert stored.owners() == {("a", "Apply"): [".data.x", ".data.y"], ("kubectl-edit", "Update"): [".data.x"]}


def test_what_an_updater_removes_is_nobodys():
    stored = Stored(CONFIG_MAPS)
    stored.apply("a", data(x="1", y="1"))
    stored.update("u", data(x="1"))
    assert stored.owners() == {("a", "Apply"): [".data.x"]}
    stored.apply("a", data(x="1", y="1"))
    assert stored.document["data"] == {"x": "1", "y": "1"}


def test_what_an_updater_set_survives_an_apply_that_does_not_name_it():
    stored = Stored(CONFIG_MAPS)
    stored.apply("a", data(x="1"))
    stored.update("u", data(x="1", y="1"))
    stored.apply("a", data(x="3"))
    assert stored.document["data"] == {"x": "3", "y": "1"}


def test_an_object_without_owners_belongs_to_before_first_apply():
    stored = Stored(CONFIG_MAPS, {"metadata": {"name": "x", "labels": {"l": "1"}}, **data(x="1")})
    error = conflict_of(stored, "a", data(x="2"))
    assert error.message == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.x'
    stored.apply("a", data(x="1", y="1"))
    assert stored.owners() == {
        ("a", "Apply"): [".data.x", ".data.y"],
        ("before-first-apply", "Update"): [".data", ".data.x", ".metadata.labels", ".metadata.labels.l"],
    }
    stored.apply("a", {})
    assert stored.document["data"] == {"x": "1"}


def test_an_apply_that_changes_nothing_leaves_the_time():
    stored = Stored(CONFIG_MAPS)
    assert stored.apply("a", data(x="1")).changed
    entries = stored.entries
    assert not stored.apply("a", data(x="1")).changed
    assert stored.entries == entries
    stored.update("u", data(x="1"))
    assert stored.entries == entries


def test_an_appliers_entry_is_one_and_updaters_are_by_subresource():
    stored = Stored(DEPLOYMENTS, {"metadata": {"name": "x"}, "spec": {"replicas": 1}, "status": {}})
    stored.apply("a", {"spec": {"replicas": 1}})
    with_status = {**stored.document, "status": {"replicas": 1}}
    stored.update("ctl", with_status, "status")
    stored.update("ctl", {**with_status, "spec": {"replicas": 2}})
    assert [(e.manager, e.operation, e.subresource) for e in stored.entries if e.manager == "ctl"] == [
        ("ctl", "Update", "status"),
        ("ctl", "Update", None),
    ]
    stored.apply("a", {"spec": {"replicas": 2}})
    assert stored.entries[0].operation == "Apply"


def test_status_and_spec_of_the_same_applier_do_not_take_each_other():
    stored = Stored(DEPLOYMENTS)
    stored.apply("a", {"spec": {"replicas": 1}})
    stored.apply("a", {"status": {"replicas": 1}, "spec": {"replicas": 7}}, subresource="status")
    assert [(e.subresource, list(paths(e.fieldsV1))) for e in stored.entries] == [
        (None, [("f:spec", "f:replicas")]),
        ("status", [("f:status", "f:replicas")]),
    ]
    stored.apply("a", {"spec": {"replicas": 1}, "status": {"replicas": 4}})
    assert [list(paths(e.fieldsV1)) for e in stored.entries if not e.subresource] == [[("f:spec", "f:replicas")]]


def containers(*items, **more):
    return {"spec": {"template": {"spec": {"containers": list(items), **more}}}}


def container_names(stored):
    return [item["name"] for item in stored.document["spec"]["template"]["spec"]["containers"]]


def test_items_of_two_appliers_stand_side_by_side():
    stored = Stored(DEPLOYMENTS)
    stored.apply("a", containers({"name": "app", "image": "1"}))
    stored.apply("mesh", containers({"name": "sidecar", "image": "s"}))
    stored.apply("a", containers({"name": "app", "image": "2"}, {"name": "log", "image": "l"}))
    assert container_names(stored) == ["app", "sidecar", "log"]
    stored.apply("mesh", {})
    assert container_names(stored) == ["app", "log"]


def test_a_given_up_item_goes_with_the_defaults_in_it():
    stored = Stored(DEPLOYMENTS)
    stored.apply("a", containers({"name": "app", "image": "1"}, {"name": "b", "image": "1"}))
    stored.document["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = "Always"
    stored.apply("a", containers({"name": "app", "image": "1"}))
    assert container_names(stored) == ["app"]


def test_an_item_another_has_joined_stays_with_what_that_one_named():
    stored = Stored(DEPLOYMENTS)
    stored.apply("a", containers({"name": "app", "image": "1"}, {"name": "b", "image": "1", "tty": True}))
    stored.apply("other", containers({"name": "b", "workingDir": "/"}))
    stored.apply("a", containers({"name": "app", "image": "1"}))
    assert stored.document["spec"]["template"]["spec"]["containers"][1] == {"name": "b", "workingDir": "/"}


def test_a_probe_goes_with_its_last_owned_field():
    stored = Stored(DEPLOYMENTS)
    stored.apply("a", containers({"name": "app", "livenessProbe": {"httpGet": {"port": 80}}}))
    probe = stored.document["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
    probe["periodSeconds"] = 10
    stored.apply("a", containers({"name": "app"}))
    assert stored.document["spec"]["template"]["spec"]["containers"] == [{"name": "app"}]


def test_an_atomic_list_and_an_atomic_map_are_owned_as_one():
    stored = Stored(DEPLOYMENTS)
    stored.apply("a", containers({"name": "app", "args": ["x", "y"]}, nodeSelector={"k": "v"}))
    error = conflict_of(stored, "b", containers({"name": "app", "args": ["x"]}, nodeSelector={"l": "v"}))
    assert {cause.field for cause in error.causes} == {
        '.spec.template.spec.containers[name="app"].args',
        ".spec.template.spec.nodeSelector",
    }
    stored.apply("b", containers({"name": "app"}, nodeSelector={"l": "v"}), force=True)
    assert stored.document["spec"]["template"]["spec"]["nodeSelector"] == {"l": "v"}


def test_ports_are_told_apart_by_number_and_protocol():
    stored = Stored(SERVICES)
    stored.apply("a", {"spec": {"ports": [{"port": 53}]}})
    stored.apply("b", {"spec": {"ports": [{"port": 53, "protocol": "UDP", "name": "u"}]}})
    assert len(stored.document["spec"]["ports"]) == 2
    stored.apply("a", {"spec": {"ports": []}})
    assert stored.document["spec"]["ports"] == [{"port": 53, "protocol": "UDP", "name": "u"}]


def test_finalizers_are_a_set():
    stored = Stored(CONFIG_MAPS)
    stored.apply("a", {"metadata": {"name": "x", "finalizers": ["a/1"]}})
    stored.apply("b", {"metadata": {"name": "x", "finalizers": ["b/1"]}})
    stored.apply("a", {"metadata": {"name": "x"}})
    assert stored.document["metadata"]["finalizers"] == ["b/1"]


def test_replicas_are_handed_over_by_sharing_then_giving_up():
    """As documented: the autoscaler applies the value as it is, then the first applier stops naming it."""
    stored = Stored(DEPLOYMENTS)
    stored.apply("user", {"spec": {"replicas": 3, "minReadySeconds": 5}})
    stored.apply("hand-over", {"spec": {"replicas": 3}})
    stored.apply("user", {"spec": {"minReadySeconds": 5}})
    assert stored.document["spec"] == {"replicas": 3, "minReadySeconds": 5}
    stored.update("hpa", {**stored.document, "spec": {"replicas": 9, "minReadySeconds": 5}}, "scale")
    stored.apply("user", {"spec": {"minReadySeconds": 6}})
    assert stored.document["spec"] == {"replicas": 9, "minReadySeconds": 6}
    assert stored.owners()[("hpa", "Update")] == [".spec.replicas"]


def test_a_null_is_owned_and_unsets():
    stored = Stored(CONFIG_MAPS, {"metadata": {"name": "x"}, "immutable": False, "data": {"x": "1"}})
    stored.entries = [
        ManagedFieldsEntry(manager="o", operation="Apply", fieldsType="FieldsV1", fieldsV1={"f:data": {}})
    ]
    stored.apply("a", {"immutable": None})
    assert "immutable" not in stored.document
    assert stored.owners()[("a", "Apply")] == [".immutable"]


def test_kubectl_takes_over_what_it_applied_from_the_clients_side():
    annotations = {LAST_APPLIED: '{"apiVersion":"v1","data":{"x":"1"}}'}
    document = {"metadata": {"name": "x", "annotations": annotations}, **data(x="1", y="1")}
    stored = Stored(CONFIG_MAPS)
    stored.create("kubectl-client-side-apply", document)
    assert "conflict" in conflict_of(stored, "someone", data(x="2")).message
    stored.apply("kubectl", data(x="2"))
    assert stored.document["data"] == {"x": "2", "y": "1"}
    assert ".data.y" in conflict_of(stored, "kubectl", data(x="2", y="2")).message


@pytest.mark.parametrize("last_applied", ["", "null", "[]", "{", '{"apiVersion":"v2","data":{"x":"2"}}'])
def test_an_annotation_that_does_not_fit_gives_kubectl_nothing(last_applied):
    stored = Stored(CONFIG_MAPS)
    stored.create("someone", {"metadata": {"name": "x", "annotations": {LAST_APPLIED: last_applied}}, **data(x="2")})
    assert ".data.x" in conflict_of(stored, "kubectl", data(x="1")).message


def test_kubectl_does_not_take_back_what_others_changed_since_it_applied_it():
    annotations = {LAST_APPLIED: '{"apiVersion":"v1","data":{"x":"1","y":"1"}}'}
    metadata = {"name": "x", "annotations": annotations}
    stored = Stored(CONFIG_MAPS)
    stored.create("kubectl-client-side-apply", {"metadata": metadata, **data(x="1", y="1")})
    stored.update("autoscaler", {"metadata": metadata, **data(x="5", y="1")})
    conflict = conflict_of(stored, "kubectl", data(x="2", y="2"))
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "autoscaler" using v1: .data.x'


def test_the_eleventh_updater_makes_the_oldest_two_one():
    stored = Stored(CONFIG_MAPS)
    stored.create("u0", data(k0="1"))
    for number in range(1, 13):
        stored.update(f"u{number}", data(**stored.document["data"], **{f"k{number}": "1"}))
    assert [e.manager for e in stored.entries] == ["ancient-changes", *(f"u{n}" for n in range(4, 13))]
    assert stored.owners()[("ancient-changes", "Update")] == [".data", *(f".data.k{n}" for n in range(4))]


def entry(**fields):
    return ManagedFieldsEntry(**fields)


def test_clients_may_write_entries_and_forget_them_without_loss():
    kept = [entry(manager="a", operation="Apply", apiVersion="v1", fieldsType="FieldsV1", fieldsV1={"f:data": {}})]
    assert manager.from_client(None, kept) is kept
    assert manager.from_client([], kept) is kept
    assert manager.from_client([entry()], kept) == []
    assert manager.is_reset([entry()])
    sent = [entry(manager="b", operation="Update", fieldsType="FieldsV1", fieldsV1={"f:data": {".": {}}})]
    assert manager.from_client(sent, kept)[0].fieldsV1 == {"f:data": {}}
    for bad in (
        entry(manager="b", operation="Update", fieldsType="FieldsV1", fieldsV1={"data": {}}),
        entry(manager="b", operation="Update", fieldsType="FieldsV9", fieldsV1={"f:data": {}}),
    ):
        assert manager.from_client([bad], kept) is kept


def test_nobody_owns_names_versions_and_the_like():
    stored = Stored(CONFIG_MAPS)
    stored.create(
        "c", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x", "uid": "u", "labels": {"a": "b"}}}
    )
    assert stored.owners() == {("c", "Update"): [".metadata.labels", ".metadata.labels.a"]}
    stored.apply("a", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x", "resourceVersion": "5"}})
    assert ("a", "Apply") not in stored.owners()


ITEMS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("ab")}, optional={"image": st.sampled_from("12"), "args": st.just(["x"])}
    ),
    max_size=2,
    unique_by=lambda item: item["name"],
)
CONFIGS = st.builds(
    lambda items, labels, replicas: {
        "metadata": {"name": "x", "labels": labels},
        "spec": {"template": {"spec": {"containers": items}}, **replicas},
    },
    ITEMS,
    st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2),
    st.fixed_dictionaries({}, optional={"replicas": st.sampled_from([1, 2])}),
)
WRITES = st.lists(st.tuples(st.sampled_from(["apply", "update"]), st.sampled_from("mno"), CONFIGS), max_size=6)


@settings(max_examples=60)
@given(WRITES)
def test_over_any_writes_what_is_owned_exists_and_what_was_given_up_does_not(writes):
    stored = Stored(DEPLOYMENTS)
    shape = shape_of(Deployment)
    for verb, who, config in writes:
        if verb == "update" and stored.document:
            stored.update(who, config)
        else:
            before = {key: set(fields) for key, fields in stored.owners().items()}
            stored.apply(who, config, force=True)
            wanted = applied_set(config, shape)
            assert not difference(wanted, whole_set(stored.document, shape)), "what is applied is there"
            owned = {key: set(fields) for key, fields in stored.owners().items() if key != (who, "Apply")}
            held = set().union(set(map(path_text, paths(wanted))), *owned.values())
            given_up = {path for path in before.get((who, "Apply"), ()) if not any(h.startswith(path) for h in held)}
            assert not given_up & set(map(path_text, paths(whole_set(stored.document, shape))))
            assert not stored.apply(who, config).changed, "the same again changes nothing"
        for entry in stored.entries:
            assert entry.fieldsV1
            assert not difference(entry.fieldsV1, whole_set(stored.document, shape)), "what is owned exists"
