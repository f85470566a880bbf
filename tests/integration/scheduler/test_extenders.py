"""Extenders: a program beside the scheduler that filters, rates and binds over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.schedulercluster import Cluster, cluster_in
from tests.kits.eventually import eventually
from tests.kits.net.httpserver import Quiet, serve_in_thread
from tests.kits.process import kubeconfig, scheduler

Answer = Callable[[dict[str, Any]], Any]


class FakeExtender:
    """Answers verbs by functions, and notes what it was asked; a verb without one gets a 500."""

    def __init__(self) -> None:
        self.verbs: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        extender = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                verb = self.path.removeprefix("/extender/")
                extender.asked.append((verb, body))
                answer = extender.verbs.get(verb)
                data = json.dumps(answer(body) if answer else {"message": "broken"}).encode()
                self.send_response(200 if answer else 500)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/extender"


@pytest.fixture
def extender() -> Iterator[FakeExtender]:
    extender = FakeExtender()
    with serve_in_thread(extender.server):
        yield extender


@pytest.fixture
def cluster(api: ApiServer, namespace: str) -> Iterator[Cluster]:
    with cluster_in(api, namespace) as made:
        for name in ("n1", "n2", "n3"):
            made.node(name, cpu="2" if name != "n3" else "1")
        yield made


def explained(cluster: Cluster, folder: Path, name: str) -> str:
    """What the scheduler of that folder's configuration says of a pod."""
    file = folder / "kubeconfig"
    file.write_text(json.dumps(kubeconfig(cluster.api.url)))
    flags = (f"--kubeconfig={file}", f"--config={folder / 'config.json'}", f"--explain={cluster.namespace}/{name}")
    command = [sys.executable, "-m", "scheduler", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@contextmanager
def extended(cluster: Cluster, folder: Path, *extenders: dict[str, Any]) -> Iterator[None]:
    config = folder / "config.json"
    document = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}
    config.write_text(json.dumps(document | {"podMaxBackoffSeconds": 1, "extenders": extenders}))
    with scheduler(cluster.api.url, folder, "--leader-elect=false", f"--config={config}"):
        yield


def test_an_extender_filters_and_rates_the_nodes_that_plugins_let_pass(
    cluster: Cluster, extender: FakeExtender, tmp_path: Path
) -> None:
    extender.verbs = {
        "filter": lambda asked: {"nodenames": asked["NodeNames"]},  # in any case, as Go reads it
        "prioritize": lambda asked: [{"Host": name, "Score": 10 if name == "n2" else 0} for name in asked["NodeNames"]],
    }
    config = {"urlPrefix": extender.url, "filterVerb": "filter", "prioritizeVerb": "prioritize", "weight": 5}
    with extended(cluster, tmp_path, config | {"nodeCacheCapable": True}):
        cluster.pod("web", cpu="1500m", metadata={"annotations": {"a": "b"}})
        assert cluster.where("web") == "n2"
        verb, asked = extender.asked[0]
        assert (verb, sorted(asked["NodeNames"]), asked["Nodes"]) == ("filter", ["n1", "n2"], None)
        assert asked["Pod"]["metadata"]["annotations"] == {"a": "b"}
        extender.verbs["filter"] = lambda asked: {
            "NodeNames": [],
            "FailedNodes": dict.fromkeys(asked["NodeNames"], "no"),
        }
        cluster.pod("refused", cpu="100m")
        message = "0/3 nodes are available: 3 no."
        assert explained(cluster, tmp_path, "refused").count("Extenders   no") == 3
        eventually(lambda: message in str(cluster.condition("refused").get("message")))
        extender.verbs["filter"] = lambda asked: {"NodeNames": asked["NodeNames"]}
        cluster.node("n4")
        assert cluster.where("refused")


def test_an_extender_without_a_cache_gets_whole_nodes_and_may_bind(
    cluster: Cluster, extender: FakeExtender, tmp_path: Path
) -> None:
    def bind(asked: dict[str, Any]) -> dict[str, str]:
        path = f"{cluster.root}/pods/{asked['PodName']}/binding"
        body = {"metadata": {"name": asked["PodName"], "uid": asked["PodUID"]}, "target": {"name": asked["Node"]}}
        answer = cluster.api.http.post(path, json=body)
        return {"Error": "" if answer.is_success else answer.text}

    extender.verbs["bind"] = bind
    extender.verbs["filter"] = lambda asked: {
        "Nodes": {"items": [item for item in asked["Nodes"]["items"] if item["metadata"]["labels"]]}
    }
    resource = {"name": "example.com/gpu", "ignoredByScheduler": True}
    config = {"urlPrefix": extender.url, "filterVerb": "filter", "bindVerb": "bind", "managedResources": [resource]}
    with extended(cluster, tmp_path, config):
        cluster.pod("plain")
        assert cluster.where("plain")
        assert extender.asked == []
        gpu = {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}}
        container = {"name": "app", "image": "app:1", "resources": gpu}
        cluster.pod("gpu", containers=[container])
        assert cluster.where("gpu")
        assert [verb for verb, _ in extender.asked] == ["filter", "bind"]
        assert extender.asked[0][1]["Nodes"]["items"][0]["status"]["capacity"]


def crowded(cluster: Cluster) -> None:
    """One pod fills n1, two fill n2; n3 is too small for 1500m."""
    for name, node, cpu in (("a", "n1", "2"), ("b", "n2", "1"), ("c", "n2", "1")):
        cluster.pod(name, cpu=cpu, nodeName=node)


def nominated(cluster: Cluster, name: str) -> str:
    return str(cluster.get(name)["status"].get("nominatedNodeName", ""))


def going(cluster: Cluster) -> list[str]:
    return sorted(item["metadata"]["name"] for item in cluster.pods() if item["metadata"].get("deletionTimestamp"))


def test_an_extender_says_where_preemption_makes_room(cluster: Cluster, extender: FakeExtender, tmp_path: Path) -> None:
    def preempt(asked: dict[str, Any]) -> dict[str, Any]:
        return {"nodeNameToMetaVictims": {"n2": asked["NodeNameToMetaVictims"]["n2"]}}

    crowded(cluster)
    uids = {name: cluster.get(name)["metadata"]["uid"] for name in "abc"}
    extender.verbs["preempt"] = preempt
    config = {"urlPrefix": extender.url, "preemptVerb": "preempt", "nodeCacheCapable": True}
    with extended(cluster, tmp_path, config):
        cluster.pod("high", cpu="1500m", priorityClassName=cluster.priority_class(1000))
        eventually(lambda: nominated(cluster, "high") == "n2")
        eventually(lambda: going(cluster) == ["b", "c"])
        (verb, asked), *more = extender.asked
        assert (verb, asked["Pod"]["metadata"]["name"], asked["NodeNameToVictims"]) == ("preempt", "high", None)
        victims = {
            node: sorted(pod["UID"] for pod in item["Pods"]) for node, item in asked["NodeNameToMetaVictims"].items()
        }
        assert victims == {"n1": [uids["a"]], "n2": sorted((uids["b"], uids["c"]))}
        assert more == []
        cluster.delete("b")
        cluster.delete("c")
        assert cluster.where("high") == "n2"


def test_an_extender_without_a_cache_gets_whole_victims_and_a_broken_one_spares_all(
    cluster: Cluster, extender: FakeExtender, tmp_path: Path
) -> None:
    def preempt(asked: dict[str, Any]) -> dict[str, Any]:
        """Names another pod than it was asked about."""
        (pod,) = (item for item in asked["NodeNameToVictims"]["n2"]["Pods"] if item["metadata"]["name"] == "b")
        assert pod["spec"]["containers"][0]["image"]
        return {"NodeNameToMetaVictims": {"n2": {"Pods": [{"UID": pod["metadata"]["uid"]}], "NumPDBViolations": 0}}}

    crowded(cluster)
    broken = {"urlPrefix": extender.url, "preemptVerb": "broken"}
    with extended(cluster, tmp_path, broken):
        cluster.pod("high", cpu="1500m", priorityClassName=cluster.priority_class(1000))
        message = eventually(lambda: cluster.condition("high").get("message"))
        assert f"preemption: extender {extender.url}: broken: " in message
        assert cluster.condition("high")["reason"] == "Unschedulable"
        assert going(cluster) == []
    extender.verbs["preempt"] = preempt
    whole = {"urlPrefix": extender.url, "preemptVerb": "preempt"}
    with extended(cluster, tmp_path, broken | {"ignorable": True}, whole):
        eventually(lambda: nominated(cluster, "high") == "n2")
        eventually(lambda: going(cluster) == ["b"])


def test_a_broken_extender_is_ignored_or_keeps_pods_waiting(
    cluster: Cluster, extender: FakeExtender, tmp_path: Path
) -> None:
    broken = {"urlPrefix": extender.url, "filterVerb": "filter"}
    with extended(cluster, tmp_path, broken | {"ignorable": True}):
        cluster.pod("first")
        assert cluster.where("first")
        extender.verbs["filter"] = lambda asked: {"NodeNames": [["n1"]]}
        cluster.pod("strange")
        assert cluster.where("strange")
        del extender.verbs["filter"]
    rating = {"urlPrefix": extender.url, "prioritizeVerb": "prioritize", "weight": 1000, "nodeCacheCapable": True}
    with extended(cluster, tmp_path, rating | {"ignorable": True}):
        for name, score in (("huge", 10**18), ("no-integer", 10**30), ("no-number", "much")):
            extender.verbs["prioritize"] = lambda asked, score=score: [
                {"Host": node, "Score": score} for node in asked["NodeNames"]
            ]
            cluster.pod(name)
            assert cluster.where(name)
    with extended(cluster, tmp_path, broken):
        cluster.pod("second")
        condition = eventually(lambda: cluster.condition("second"))
        assert (condition["status"], condition["reason"]) == ("False", "SchedulerError")
        assert extender.url in condition["message"]
        extender.verbs["filter"] = lambda asked: asked
        assert cluster.where("second")
