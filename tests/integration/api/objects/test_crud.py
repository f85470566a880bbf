"""What every kind can: create, get, list, update, patch, delete, over real TLS on a real etcd."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer


def configmap(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}, **more}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "app", "image": "app:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def configmaps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def make(api: ApiServer, collection: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.http.post(collection, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


# Create


def test_created_objects_get_identity_and_time_from_the_server(api: ApiServer, configmaps: str, namespace: str) -> None:
    sent = configmap("a")
    sent["metadata"] |= {
        "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "deletionTimestamp": "2001-01-01T00:00:00Z",
        "generation": 7, "selfLink": "x",
    }  # fmt: skip
    made = make(api, configmaps, sent)
    meta = made["metadata"]
    assert (meta["name"], meta["namespace"]) == ("a", namespace)
    assert len(meta["uid"]) == 36
    assert meta["creationTimestamp"] > "2026"
    assert meta["resourceVersion"].isdigit()
    assert not {"deletionTimestamp", "selfLink"} & set(meta)
    assert (made["kind"], made["apiVersion"], made["data"]) == ("ConfigMap", "v1", {"a": "1"})
    assert api.http.get(f"{configmaps}/a").json() == made


def test_a_created_pod_has_defaults_and_no_status_of_its_own(api: ApiServer, pods: str) -> None:
    body = pod("a") | {"status": {"phase": "Running", "podIP": "10.0.0.1"}}
    made = make(api, pods, body)
    assert made["metadata"]["generation"] == 1
    assert made["spec"]["restartPolicy"] == "Always"
    assert made["spec"]["containers"][0]["terminationMessagePath"] == "/dev/termination-log"
    assert made["status"]["phase"] == "Pending"
    assert "podIP" not in made["status"]


def test_admission_completes_a_pod(api: ApiServer, pods: str) -> None:
    spec = make(api, pods, pod("a"))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    tolerated = {(item["key"], item["effect"], item["tolerationSeconds"]) for item in spec["tolerations"]}
    assert tolerated == {
        ("node.kubernetes.io/not-ready", "NoExecute", 300), ("node.kubernetes.io/unreachable", "NoExecute", 300),
    }  # fmt: skip


def test_admission_marks_a_new_node(shared: Callable[[str, Any], Any]) -> None:
    made = shared("/api/v1/nodes", {"metadata": {"name": "marked"}})
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


def test_a_priority_class_that_does_not_exist_is_refused(api: ApiServer, pods: str) -> None:
    answer = api.http.post(pods, json=pod("a", priorityClassName="none"))
    assert answer.status_code == 403
    assert answer.json()["message"] == 'pods "a" is forbidden: no PriorityClass with name none was found'


def test_generated_names_are_unique(api: ApiServer, configmaps: str) -> None:
    made = {make(api, configmaps, {"metadata": {"generateName": "job-"}})["metadata"]["name"] for _ in range(20)}
    assert len(made) == 20
    assert all(name.startswith("job-") and len(name) == 9 for name in made)


def test_a_taken_name_is_a_conflict(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, configmap("a"))
    answer = api.http.post(configmaps, json=configmap("a"))
    status = answer.json()
    assert (answer.status_code, status["reason"]) == (409, "AlreadyExists")
    assert status["message"] == 'configmaps "a" already exists'
    assert status["details"] == {"name": "a", "kind": "configmaps"}


def test_objects_need_a_namespace_that_exists_and_stays(api: ApiServer, namespace: str) -> None:
    answer = api.http.post("/api/v1/namespaces/nowhere/configmaps", json=configmap("a"))
    assert (answer.status_code, answer.json()["message"]) == (404, 'namespaces "nowhere" not found')
    assert api.http.delete(f"/api/v1/namespaces/{namespace}").json()["status"]["phase"] == "Terminating"
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/configmaps", json=configmap("a"))
    status = answer.json()
    assert (answer.status_code, status["reason"]) == (403, "Forbidden")
    assert status["details"]["causes"][0]["reason"] == "NamespaceTerminating"


def test_dry_run_answers_as_if_and_stores_nothing(api: ApiServer, configmaps: str) -> None:
    answer = api.http.post(f"{configmaps}?dryRun=All", json=configmap("a"))
    assert (answer.status_code, answer.json()["metadata"]["name"]) == (201, "a")
    assert api.http.get(f"{configmaps}/a").status_code == 404
    made = make(api, configmaps, configmap("a"))
    answer = api.http.patch(f"{configmaps}/a?dryRun=All", json={"data": {"a": "2"}}, headers=MERGE)
    assert answer.json()["data"] == {"a": "2"}
    assert api.http.delete(f"{configmaps}/a", params={"dryRun": "All"}).json()["status"] == "Success"
    assert api.http.get(f"{configmaps}/a").json() == made


def test_yaml_is_read(api: ApiServer, configmaps: str) -> None:
    yaml = {"content-type": "application/yaml"}
    text = "metadata:\n  name: a\ndata: {when: 2026-01-01, answer: 'yes'}\n"
    answer = api.http.post(configmaps, content=text, headers=yaml)
    assert answer.json()["data"] == {"when": "2026-01-01", "answer": "yes"}
    answer = api.http.put(f"{configmaps}/a", content=text.replace("'yes'", "42"), headers=yaml)
    assert answer.status_code == 400
    assert "data.answer" in answer.json()["message"]


def test_names_that_yaml_repeats_have_their_owners(api: ApiServer, pods: str) -> None:
    for name in ("one", "two"):
        text = f'{{"metadata": &same {{"name":"{name}","image":"i"}}, "spec": {{"containers": [*same]}}}}'
        made = api.http.post(pods, content=text, headers={"content-type": "application/yaml"}).json()
        owned = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:containers"]
        assert list(owned) == [f'k:{{"name":"{name}"}}']


# Update

MERGE = {"content-type": "application/merge-patch+json"}
STRATEGIC = {"content-type": "application/strategic-merge-patch+json"}
JSON_PATCH = {"content-type": "application/json-patch+json"}


def test_an_update_replaces_and_raises_the_revision(api: ApiServer, configmaps: str) -> None:
    made = make(api, configmaps, configmap("a"))
    made["data"] = {"b": "2"}
    updated = api.http.put(f"{configmaps}/a", json=made).json()
    assert updated["data"] == {"b": "2"}
    assert int(updated["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert api.http.get(f"{configmaps}/a").json() == updated


def test_an_update_of_something_older_is_a_conflict_and_changes_nothing(api: ApiServer, configmaps: str) -> None:
    first = make(api, configmaps, configmap("a"))
    second = api.http.put(f"{configmaps}/a", json=first | {"data": {"b": "2"}}).json()
    answer = api.http.put(f"{configmaps}/a", json=first | {"data": {"c": "3"}})
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")
    assert answer.json()["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )
    assert api.http.get(f"{configmaps}/a").json() == second


def test_an_update_without_revision_is_taken_as_it_is(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, configmap("a"))
    assert api.http.put(f"{configmaps}/a", json=configmap("a", data={"z": "9"})).json()["data"] == {"z": "9"}


def test_an_update_that_changes_nothing_is_not_written(api: ApiServer, configmaps: str) -> None:
    body = configmap("a", data={"a": "1", "b": "2"})
    made = make(api, configmaps, body)
    reordered = made | {"data": {"b": "2", "a": "1"}}
    for answer in (
        api.http.put(f"{configmaps}/a", json=made),
        api.http.put(f"{configmaps}/a", json=reordered),
        api.http.patch(f"{configmaps}/a", json={}, headers=MERGE),
        api.http.patch(f"{configmaps}/a", json={"data": {"a": "1"}}, headers=STRATEGIC),
    ):
        assert answer.status_code == 200
        assert answer.json()["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_identity_can_not_be_changed(api: ApiServer, configmaps: str) -> None:
    made = make(api, configmaps, configmap("a"))
    changed = made | {"metadata": made["metadata"] | {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 5}}
    kept = api.http.put(f"{configmaps}/a", json=changed).json()["metadata"]
    assert kept == made["metadata"]
    other = made | {"metadata": made["metadata"] | {"uid": "other"}}
    answer = api.http.put(f"{configmaps}/a", json=other)
    assert answer.status_code == 409
    assert "Precondition failed: UID in precondition: other" in answer.json()["message"]
    answer = api.http.patch(f"{configmaps}/a", json={"metadata": {"uid": "other"}}, headers=MERGE)
    assert answer.status_code == 422
    assert [cause["field"] for cause in answer.json()["details"]["causes"]] == ["metadata.uid"] * 2
    assert answer.json()["message"].count("field is immutable") == 1
    answer = api.http.put(f"{configmaps}/b", json=made)
    assert answer.status_code == 400
    assert answer.json()["message"] == "the name of the object (a) does not match the name on the URL (b)"


def test_equal_owner_references_are_stored_once_with_a_warning(api: ApiServer, configmaps: str) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1"}
    made = configmap("a") | {"metadata": {"name": "a", "ownerReferences": [owner, owner]}}
    writes = (
        api.http.post(configmaps, json=made),
        api.http.put(f"{configmaps}/a", json=made),
        api.http.patch(f"{configmaps}/a", json={"metadata": {"ownerReferences": [owner, owner]}}, headers=MERGE),
    )
    for answer in writes:
        assert answer.json()["metadata"]["ownerReferences"] == [owner]
        assert "duplicate UID(s) observed: 1" in answer.headers["Warning"]


def test_an_update_of_nothing_is_not_found(api: ApiServer, configmaps: str) -> None:
    answer = api.http.put(f"{configmaps}/a", json=configmap("a"))
    assert (answer.status_code, answer.json()["message"]) == (404, 'configmaps "a" not found')


def test_spec_and_status_are_written_apart(api: ApiServer, namespace: str) -> None:
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    made = make(api, deployments, body)
    assert made["metadata"]["generation"] == 1
    made["spec"]["replicas"] = 4
    made["status"] = {"replicas": 3}
    updated = api.http.put(f"{deployments}/d", json=made).json()
    assert (updated["spec"]["replicas"], updated["metadata"]["generation"]) == (4, 2)
    assert "replicas" not in updated["status"]
    updated["spec"]["replicas"] = 9
    updated["status"] = {"replicas": 3, "observedGeneration": 2}
    stored = api.http.put(f"{deployments}/d/status", json=updated).json()
    assert (stored["spec"]["replicas"], stored["metadata"]["generation"]) == (4, 2)
    assert stored["status"]["replicas"] == 3
    assert api.http.get(f"{deployments}/d/status").json() == stored


def test_a_lease_is_created_by_its_first_update(api: ApiServer, namespace: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/l"
    answer = api.http.put(path, json={"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}})
    assert answer.status_code == 201
    assert api.http.get(path).json()["spec"]["holderIdentity"] == "me"


def test_a_config_map_is_not_created_by_an_update(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    assert api.http.put(path, json={"metadata": {"name": "c"}}).status_code == 404
    assert api.http.get(path).status_code == 404


# Patch


def test_each_patch_type_does_its_own_merge(api: ApiServer, pods: str) -> None:
    body = pod("a")
    body["metadata"]["labels"] = {"x": "1", "y": "2"}
    make(api, pods, body)
    answer = api.http.patch(f"{pods}/a", json={"metadata": {"labels": {"x": None, "z": "3"}}}, headers=MERGE)
    assert answer.json()["metadata"]["labels"] == {"y": "2", "z": "3"}
    image = {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}
    answer = api.http.patch(f"{pods}/a", json=image, headers=STRATEGIC)
    container = answer.json()["spec"]["containers"][0]
    assert (container["image"], container["imagePullPolicy"]) == ("app:2", "IfNotPresent")
    operations = [
        {"op": "test", "path": "/metadata/labels/y", "value": "2"},
        {"op": "remove", "path": "/metadata/labels/y"},
        {"op": "add", "path": "/metadata/annotations", "value": {"n": "1"}},
    ]
    meta = api.http.patch(f"{pods}/a", json=operations, headers=JSON_PATCH).json()["metadata"]
    assert (meta["labels"], meta["annotations"]) == ({"z": "3"}, {"n": "1"})
    answer = api.http.patch(f"{pods}/a", json=operations, headers=JSON_PATCH)
    assert answer.status_code == 422


def test_a_patch_of_status_leaves_the_spec(api: ApiServer, pods: str) -> None:
    make(api, pods, pod("a"))
    patch = {"status": {"phase": "Running"}, "spec": {"nodeName": "x"}, "metadata": {"annotations": {"n": "1"}}}
    patched = api.http.patch(f"{pods}/a/status", json=patch, headers=STRATEGIC).json()
    assert patched["status"]["phase"] == "Running"
    assert "nodeName" not in patched["spec"]
    assert patched["metadata"]["annotations"] == {"n": "1"}
    conditions = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    api.http.patch(f"{pods}/a/status", json=conditions, headers=STRATEGIC)
    more = {"status": {"conditions": [{"type": "Initialized", "status": "True"}]}}
    patched = api.http.patch(f"{pods}/a/status", json=more, headers=STRATEGIC).json()
    assert {item["type"] for item in patched["status"]["conditions"]} == {"Ready", "Initialized"}


def test_a_patch_with_a_revision_is_guarded_by_it(api: ApiServer, configmaps: str) -> None:
    made = make(api, configmaps, configmap("a"))
    old = made["metadata"]["resourceVersion"]
    api.http.patch(f"{configmaps}/a", json={"data": {"b": "1"}}, headers=MERGE)
    patch = {"metadata": {"resourceVersion": old}, "data": {"c": "1"}}
    assert api.http.patch(f"{configmaps}/a", json=patch, headers=MERGE).status_code == 409
    assert "c" not in api.http.get(f"{configmaps}/a").json()["data"]


def test_a_patch_can_not_rename(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, configmap("a"))
    answer = api.http.patch(f"{configmaps}/a", json={"metadata": {"name": "b"}}, headers=MERGE)
    assert answer.status_code == 400
    assert answer.json()["message"] == "the name of the object (b) does not match the name on the URL (a)"


# Delete


def test_a_deletion_is_told_with_a_status_and_a_pods_with_the_pod(api: ApiServer, configmaps: str, pods: str) -> None:
    made = make(api, configmaps, configmap("a"))
    answer = api.http.delete(f"{configmaps}/a").json()
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert api.http.get(f"{configmaps}/a").status_code == 404
    assert api.http.delete(f"{configmaps}/a").status_code == 404
    make(api, pods, pod("a"))
    answer = api.http.delete(f"{pods}/a").json()
    assert (answer["kind"], answer["metadata"]["name"]) == ("Pod", "a")
    assert api.http.get(f"{pods}/a").status_code == 404


def test_a_pod_that_goes_at_once_is_shown_as_deleted(api: ApiServer, pods: str) -> None:
    made = make(api, pods, pod("a"))["metadata"]
    for query in ({"gracePeriodSeconds": "0", "dryRun": "All"}, {"gracePeriodSeconds": "0"}):
        last = api.http.delete(f"{pods}/a", params=query).json()["metadata"]
        assert (last["uid"], last["deletionGracePeriodSeconds"], last["generation"]) == (made["uid"], 0, 2)
        assert parse(last["deletionTimestamp"]) == pytest.approx(time.time(), abs=3)


def test_the_update_that_lets_an_object_go_answers_with_what_it_asked_for(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, configmap("a", metadata={"name": "a", "finalizers": ["example.com/x"]}))
    assert api.http.delete(f"{configmaps}/a").json()["kind"] == "ConfigMap"
    freed = api.http.patch(f"{configmaps}/a", json={"metadata": {"finalizers": None}}, headers=MERGE).json()
    assert (freed["kind"], freed["metadata"].get("finalizers")) == ("ConfigMap", None)
    assert api.http.get(f"{configmaps}/a").status_code == 404


def test_a_replication_controller_leaves_its_pods_unless_told_otherwise(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/replicationcontrollers"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    for name in ("a", "b"):
        make(api, path, {"metadata": {"name": name}, "spec": {"selector": {"a": "b"}, "template": template}})
    assert api.http.delete(f"{path}/a").json()["metadata"]["finalizers"] == ["orphan"]
    assert api.http.delete(f"{path}/b", params={"propagationPolicy": "Background"}).json()["kind"] == "Status"


def test_a_running_pod_is_deleted_gracefully(api: ApiServer, pods: str) -> None:
    make(api, pods, pod("a", terminationGracePeriodSeconds=40))
    bind(api, pods, "a", "node-1")
    begin = time.time()
    marked = api.http.delete(f"{pods}/a").json()["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 40
    assert parse(marked["deletionTimestamp"]) - begin == pytest.approx(40, abs=3)
    again = api.http.delete(f"{pods}/a").json()["metadata"]
    assert again == marked
    shorter = api.http.request("DELETE", f"{pods}/a", json={"gracePeriodSeconds": 5}).json()["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert parse(shorter["deletionTimestamp"]) - begin == pytest.approx(5, abs=3)
    assert api.http.delete(f"{pods}/a", params={"gracePeriodSeconds": "0"}).status_code == 200
    assert api.http.get(f"{pods}/a").status_code == 404


def parse(text: str) -> float:
    from apimachinery.times import parse_time

    return parse_time(text)


def bind(api: ApiServer, pods: str, name: str, node: str) -> Any:
    body = {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
    return api.http.post(f"{pods}/{name}/binding", json=body)


def test_finalizers_hold_an_object_until_the_last_is_gone(api: ApiServer, configmaps: str) -> None:
    body = configmap("a")
    body["metadata"]["finalizers"] = ["example.com/one", "example.com/two"]
    make(api, configmaps, body)
    marked = api.http.delete(f"{configmaps}/a").json()
    assert marked["metadata"]["deletionTimestamp"]
    assert api.http.delete(f"{configmaps}/a").status_code == 200
    new = {"metadata": {"finalizers": [*body["metadata"]["finalizers"], "example.com/three"]}}
    answer = api.http.patch(f"{configmaps}/a", json=new, headers=MERGE)
    assert answer.status_code == 422
    assert "no new finalizers can be added if the object is being deleted" in answer.json()["message"]
    answer = api.http.patch(f"{configmaps}/a", json={"metadata": {"deletionTimestamp": None}}, headers=MERGE)
    assert answer.json()["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    one = {"metadata": {"finalizers": ["example.com/two"]}}
    assert api.http.patch(f"{configmaps}/a", json=one, headers=MERGE).status_code == 200
    answer = api.http.post(configmaps, json=configmap("a"))
    assert "object is being deleted" in answer.json()["message"]
    assert api.http.patch(f"{configmaps}/a", json={"metadata": {"finalizers": None}}, headers=MERGE).status_code == 200
    assert api.http.get(f"{configmaps}/a").status_code == 404


@pytest.mark.parametrize(("policy", "finalizers"), [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])])
def test_a_cascade_is_asked_of_the_garbage_collector(
    api: ApiServer, configmaps: str, policy: str, finalizers: list[str]
) -> None:
    make(api, configmaps, configmap("a"))
    answer = api.http.request("DELETE", f"{configmaps}/a", json={"propagationPolicy": policy})
    assert (answer.status_code, answer.json()["metadata"]["finalizers"]) == (200, finalizers)
    answer = api.http.request("DELETE", f"{configmaps}/a", json={"propagationPolicy": "Background"})
    assert answer.json()["kind"] == "Status"
    assert api.http.get(f"{configmaps}/a").status_code == 404


def test_deletion_heeds_preconditions(api: ApiServer, configmaps: str) -> None:
    made = make(api, configmaps, configmap("a"))
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        answer = api.http.request("DELETE", f"{configmaps}/a", json={"preconditions": wrong})
        assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")
    right = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
    assert api.http.request("DELETE", f"{configmaps}/a", json={"preconditions": right}).status_code == 200


def test_a_collection_is_deleted_by_selector(api: ApiServer, configmaps: str) -> None:
    for index in range(30):
        body = configmap(f"c-{index}")
        body["metadata"]["labels"] = {"odd": str(index % 2)}
        make(api, configmaps, body)
    answer = api.http.delete(configmaps, params={"labelSelector": "odd=1"})
    assert (answer.status_code, answer.json()["kind"], len(answer.json()["items"])) == (200, "ConfigMapList", 15)
    left = api.http.get(configmaps).json()["items"]
    assert {item["metadata"]["labels"]["odd"] for item in left} == {"0"}
    assert len(left) == 15


def test_basic_namespaces_can_not_be_deleted_and_others_wait_for_finalize(api: ApiServer, namespace: str) -> None:
    assert api.http.delete("/api/v1/namespaces/default").status_code == 403
    path = f"/api/v1/namespaces/{namespace}"
    marked = api.http.delete(path).json()
    assert (marked["status"]["phase"], marked["spec"]["finalizers"]) == ("Terminating", ["kubernetes"])
    assert "deletionGracePeriodSeconds" not in marked["metadata"]
    kept = api.http.put(path, json=marked | {"spec": {"finalizers": []}}).json()
    assert kept["spec"]["finalizers"] == ["kubernetes"]
    assert api.http.get(path).status_code == 200
    assert api.http.put(f"{path}/finalize", json=kept | {"spec": {"finalizers": []}}).status_code == 200
    assert api.http.get(path).status_code == 404


def test_a_changed_template_warns_and_so_does_what_an_apply_creates(api: ApiServer, namespace: str) -> None:
    root = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    template["metadata"]["annotations"] = {"scheduler.alpha.kubernetes.io/critical-pod": ""}
    apply = {"content-type": "application/apply-patch+yaml"}
    created = api.http.patch(f"{root}/d", params={"fieldManager": "x"}, json=body, headers=apply)
    where = "spec.template.metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]"
    assert created.headers["warning"].startswith(f'299 - "{where}: non-functional in v1.16+;')
    assert (
        "warning" not in api.http.patch(f"{root}/d", json={"metadata": {"labels": {"x": "y"}}}, headers=MERGE).headers
    )
    changed = api.http.patch(f"{root}/d", json={"spec": {"replicas": 2}}, headers=MERGE)
    assert changed.headers["warning"] == created.headers["warning"]
