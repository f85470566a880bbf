from apimachinery.meta import Object, ObjectMeta, OwnerReference
from controller_manager.controllers.cluster._ownergraph import (
    Delete,
    DropOwners,
    Keep,
    OwnerGraph,
    Owners,
    decide,
    node_of,
)
from controller_manager.controllers.nodes.podgc import oldest_beyond
from kubeapi.apps.replicaset import RESOURCE as REPLICA_SETS
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.resource import RESOURCE as PODS


def ref(uid, block=True):
    return OwnerReference(apiVersion="apps/v1", kind="ReplicaSet", name=uid, uid=uid, blockOwnerDeletion=block)


def node(uid, *owners, finalizers=(), deleting=False, resource=PODS):
    meta = ObjectMeta(name=uid, namespace="ns", uid=uid, ownerReferences=list(owners), finalizers=list(finalizers))
    if deleting:
        meta.deletionTimestamp = "2026-01-01T00:00:00Z"
    return node_of(Object(metadata=meta), resource)


def uids(nodes):
    return {found.uid for found in nodes}


def test_dependents_are_found_before_and_after_their_owner_is_known():
    graph = OwnerGraph()
    graph.put(node("pod", ref("rs")))
    assert uids(graph.dependents("rs")) == {"pod"}
    graph.put(node("rs"))
    graph.remove("rs")
    assert graph.get("rs") is None
    assert uids(graph.dependents("rs")) == {"pod"}


def test_a_changed_object_leaves_its_former_owner():
    graph = OwnerGraph()
    graph.put(node("pod", ref("a")))
    graph.put(node("pod", ref("b")))
    assert not graph.dependents("a")
    assert uids(graph.dependents("b")) == {"pod"}
    graph.remove("pod")
    assert not graph.dependents("b")


def test_only_references_that_block_hold_a_foreground_deletion_up():
    graph = OwnerGraph()
    graph.put(node("one", ref("rs")))
    graph.put(node("two", ref("rs", block=False)))
    assert graph.is_blocked("rs")
    graph.remove("one")
    assert not graph.is_blocked("rs")


def test_a_reference_means_its_owner_only_if_all_of_it_fits():
    graph = OwnerGraph()
    graph.put(node("rs", resource=REPLICA_SETS))
    pod = node("pod", ref("rs"))
    assert graph.owner_of(pod, ref("rs")) is graph.get("rs")
    other_version, other_kind, other_name = ref("rs"), ref("rs"), ref("rs")
    other_version.apiVersion, other_kind.kind, other_name.name = "apps/v1beta1", "Deployment", "x"
    assert graph.owner_of(pod, other_version) is graph.get("rs")
    assert graph.owner_of(pod, other_kind) is None
    assert graph.owner_of(pod, other_name) is None
    pod.key = "elsewhere/pod"
    assert graph.owner_of(pod, ref("rs")) is None


def test_an_owner_in_another_namespace_is_out_of_reach():
    graph = OwnerGraph()
    graph.put(node("rs", resource=REPLICA_SETS))
    pod = node("pod", ref("rs"), ref("unknown"))
    assert graph.unreachable_owners(pod) == []
    pod.key = "elsewhere/pod"
    assert graph.unreachable_owners(pod) == [ref("rs")]
    graph.get("rs").namespaced, graph.get("rs").key = False, "rs"
    assert graph.unreachable_owners(pod) == []


def test_a_circle_is_cut_where_it_closes():
    owners = Owners(waiting=[ref("b")])
    first = node("a", finalizers=["foregroundDeletion"], deleting=True)
    assert decide(node("c"), owners, [first]) == Delete("Foreground", unblock=True)


def test_an_owner_that_lives_keeps_its_dependent():
    assert decide(node("pod"), Owners(solid=[ref("a")]), []) == Keep()
    assert decide(node("pod"), Owners(), []) == Keep()


def test_references_to_lost_owners_go_where_another_lives():
    owners = Owners(solid=[ref("a")], waiting=[ref("b")], dangling=[ref("c")])
    assert decide(node("pod"), owners, []) == DropOwners(("b", "c"))


def test_what_lost_all_owners_goes():
    owners = Owners(dangling=[ref("a")])
    assert decide(node("pod"), owners, []) == Delete("Background")
    assert decide(node("pod", finalizers=["orphan"]), owners, []) == Delete("Orphan")
    assert decide(node("pod", finalizers=["foregroundDeletion"]), owners, []) == Delete("Foreground")


def test_foreground_deletion_goes_down_the_tree():
    owners = Owners(waiting=[ref("deployment")])
    assert decide(node("rs"), owners, [node("pod")]) == Delete("Foreground")
    assert decide(node("rs"), owners, []) == Delete("Background")


def test_states_of_a_deletion():
    assert node("a", finalizers=["foregroundDeletion"], deleting=True).waits_for_dependents
    assert not node("a", finalizers=["foregroundDeletion"]).waits_for_dependents
    assert node("a", finalizers=["orphan"], deleting=True).orphans_dependents


def test_ended_pods_beyond_the_threshold_go_oldest_first():
    def pod(name, created):
        return Pod(metadata=ObjectMeta(name=name, namespace="ns", creationTimestamp=created))

    pods = [pod("new", "2026-01-03T00:00:00Z"), pod("old", "2026-01-01T00:00:00Z"), pod("mid", "2026-01-02T00:00:00Z")]
    assert [found.name for found in oldest_beyond(pods, 1)] == ["old", "mid"]
    assert oldest_beyond(pods, 3) == []
    assert oldest_beyond(pods, 0) == []
