"""What mini-kubectl's verbs do to a real API server, and what they say about it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kits.client.commandline import MINI_KUBECTL, CommandLine
from tests.kits.client.kubectlpair import write_kubeconfig
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually
from tests.kits.net.httpserver import Quiet, serve_in_thread

Json = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
CRASH = "Traceback"


def config(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, **fields: Any) -> Json:
    spec = {"containers": [{"name": "c", "image": "x:1"}], **fields}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def deployment(name: str, **spec: Any) -> Json:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    whole = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}


@pytest.fixture
def mk(api: ApiServer, namespace: str, tmp_path: Path) -> CommandLine:
    return CommandLine(write_kubeconfig(api, tmp_path / "kubeconfig"), namespace)


# apply


def test_apply_removes_what_the_manifest_no_longer_says_and_keeps_what_others_set(mk: CommandLine) -> None:
    mk.apply({**config("c", a="1", b="2"), "metadata": {"name": "c", "labels": {"x": "1", "y": "1"}}})
    mk.run("annotate", "cm", "c", "by=another")
    mk.run("label", "cm", "c", "theirs=1")
    assert (
        mk.apply({**config("c", b="3"), "metadata": {"name": "c", "labels": {"y": "1"}}}) == "configmap/c configured\n"
    )
    found = mk.get("cm", "c")
    assert found["data"] == {"b": "3"}
    assert found["metadata"]["labels"] == {"y": "1", "theirs": "1"}
    assert found["metadata"]["annotations"]["by"] == "another"
    assert json.loads(found["metadata"]["annotations"][LAST_APPLIED])["data"] == {"b": "3"}


def test_apply_merges_lists_by_their_keys(mk: CommandLine) -> None:
    first = deployment("web", replicas=2)
    first["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "1"},
    ]
    mk.apply(first)
    mk.run("scale", "deployment/web", "--replicas=5")
    second = deployment("web")
    second["spec"]["template"]["spec"]["containers"][0] |= {"image": "x:2", "env": [{"name": "B", "value": "2"}]}
    mk.apply(second)
    spec = mk.get("deployment", "web")["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("x:2", [{"name": "B", "value": "2"}])
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert spec["replicas"] == 1  # no longer said: the default again


def test_apply_warns_of_an_object_it_did_not_make_and_takes_it_over(mk: CommandLine) -> None:
    mk.run("create", "configmap", "c", "--from-literal=a=1")
    done = mk.try_run("apply", "-f", "-", stdin=json.dumps(config("c", b="2")))
    assert done.returncode == 0
    assert f"Warning: resource configmaps/c is missing the {LAST_APPLIED} annotation" in done.stderr
    assert mk.get("cm", "c")["data"] == {"a": "1", "b": "2"}
    assert "Warning" not in mk.try_run("apply", "-f", "-", stdin=json.dumps(config("c", b="2"))).stderr


def test_apply_takes_lists_and_several_documents(mk: CommandLine) -> None:
    documents = (
        f"---\n# nothing\n---\n{json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': [config('a'), config('b')]})}"
    )
    said = mk.run("apply", "-f", "-", stdin=f"{documents}\n---\n{json.dumps(config('c'))}\n")
    assert said == "configmap/a created\nconfigmap/b created\nconfigmap/c created\n"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    class Handler(Quiet, http.server.SimpleHTTPRequestHandler):
        pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    with serve_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_apply_reads_urls(mk: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(json.dumps(config("c")))
    with served(tmp_path) as url:
        assert mk.run("apply", "-f", f"{url}/c.yaml") == "configmap/c created\n"
        missing = mk.fails("apply", "-f", f"{url}/none.yaml")
    reason = "404 File not found, status code=404"
    assert missing == f'error: unable to read URL "{url}/none.yaml", server reported {reason}\n'


def test_dry_runs_store_nothing(mk: CommandLine) -> None:
    for where, suffix in (("client", " (dry run)"), ("server", " (server dry run)")):
        said = mk.run("apply", f"--dry-run={where}", "-f", "-", stdin=json.dumps(config("c")))
        assert said == f"configmap/c created{suffix}\n"
    assert "not found" in mk.fails("get", "cm", "c")
    wrong = {**pod("p"), "spec": {"containers": []}}
    assert "spec.containers: Required value" in mk.fails(
        "apply", "--dry-run=server", "-f", "-", stdin=json.dumps(wrong)
    )


BAD_INPUT = {
    "malformed YAML": ("a: [", "error: error parsing STDIN: error converting YAML to JSON: yaml: line "),
    "no kind": ("apiVersion: v1", 'error: error validating "STDIN": error validating data: kind not set'),
    "no object": ("just text", 'error: error validating "STDIN": error validating data: invalid object to validate'),
    "an unknown kind": (
        "{apiVersion: v1, kind: Bogus, metadata: {name: b}}",
        'error: resource mapping not found for name: "b" namespace: "" from "STDIN": no matches for kind "Bogus" in '
        'version "v1"\nensure CRDs are installed first\n',
    ),
    "a wrong type": ("{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {a: 1}}", "(BadRequest)"),
    "an unknown field": ("{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, daata: {}}", 'unknown field "daata"'),
    "binary": ("\x00\x01", "error: error parsing STDIN"),
}


@pytest.mark.parametrize(("text", "said"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_named_and_stores_nothing(mk: CommandLine, text: str, said: str) -> None:
    for verb in ("apply", "create"):
        error = mk.fails(verb, "-f", "-", stdin=text)
        assert said in error
        assert CRASH not in error
    assert "not found" in mk.fails("get", "cm", "b")


def test_what_can_be_applied_is_even_where_the_rest_cannot(mk: CommandLine) -> None:
    bad = {"apiVersion": "v1", "kind": "Bogus", "metadata": {"name": "b"}}
    invalid = {**pod("p"), "spec": {"containers": []}}
    done = mk.try_run("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, (bad, invalid, config("fine")))))
    assert (done.returncode, done.stdout) == (1, "configmap/fine created\n")
    assert 'no matches for kind "Bogus"' in done.stderr
    assert "Error from server (Invalid): " in done.stderr


# get


def test_watch_shows_changes_aligned_under_one_header(mk: CommandLine) -> None:
    mk.apply(config("a"))
    with watching(mk, "get", "cm", "-w", "--field-selector=metadata.name!=kube-root-ca.crt") as lines:
        assert next(lines).split() == ["NAME", "DATA", "AGE"]
        assert next(lines).split()[:2] == ["a", "0"]
        mk.apply(config("a-longer-name", k="v"))
        added = next(lines)
        assert added.split()[:2] == ["a-longer-name", "1"]
        mk.run("delete", "cm", "a")
        assert next(lines).index("0") == added.index("1"), "columns do not shrink"


def test_watch_of_whole_objects(mk: CommandLine) -> None:
    mk.apply(config("a", k="u"))
    with watching(mk, "get", "cm", "a", "-w", "-o", "jsonpath={.data}{'\\n'}") as lines:
        assert next(lines) == '{"k":"u"}\n'
        mk.apply(config("a", k="v"))
        assert next(lines) == '{"k":"v"}\n'
    with watching(mk, "get", "cm", "a", "--watch-only", "-o", "name") as lines, labelling(mk, "cm", "a"):
        assert next(lines) == "configmap/a\n"


@contextlib.contextmanager
def labelling(mk: CommandLine, *words: str) -> Iterator[None]:
    """Changes a label again and again: nobody can tell when a watch that shows only changes has begun."""
    enough = threading.Event()

    def change() -> None:
        for number in itertools.count():
            if enough.is_set():
                return
            mk.run("label", "--overwrite", *words, f"number={number}")

    with ThreadPoolExecutor(1) as pool:
        changes = pool.submit(change)
        try:
            yield
        finally:
            enough.set()
        changes.result()


@contextlib.contextmanager
def watching(mk: CommandLine, *words: str) -> Iterator[Iterator[str]]:
    """Lines as the command prints them; the command is interrupted at the end."""
    command = [MINI_KUBECTL, "-n", mk.namespace, *words]
    environment = {**os.environ, "KUBECONFIG": str(mk.kubeconfig)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        killer = threading.Timer(60, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            yield iter(process.stdout)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            killer.cancel()
            process.kill()


def test_large_lists_come_in_pages(mk: CommandLine) -> None:
    mk.apply(*(config(f"c{number:02}") for number in range(7)))
    assert len(mk.run("get", "cm", "-o", "name", "--chunk-size=2").split()) == 7
    assert len(mk.run("get", "cm", "--no-headers", "--chunk-size=2").splitlines()) == 7


# delete


def test_delete_waits_for_finalizers_within_its_timeout(mk: CommandLine) -> None:
    held = config("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    mk.apply(held)
    done = mk.try_run("delete", "cm", "held", "--timeout=1s")
    assert (done.returncode, done.stderr) == (1, "error: timed out waiting for the condition on configmaps/held\n")
    assert mk.run("delete", "cm", "held", "--wait=false").startswith('configmap "held" deleted')
    assert mk.run("wait", "cm/held", "--for=jsonpath={.metadata.deletionTimestamp}") == "configmap/held condition met\n"
    waiting = subprocess.Popen(
        [MINI_KUBECTL, "-n", mk.namespace, "wait", "cm/held", "--for=delete", "--timeout=60s"],
        env={**os.environ, "KUBECONFIG": str(mk.kubeconfig)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    released = config("held")
    released["metadata"]["finalizers"] = []
    mk.apply(released)
    assert waiting.communicate(timeout=60)[0] in ("configmap/held condition met\n", "")  # gone before it looked
    assert waiting.returncode == 0
    assert "not found" in mk.fails("get", "cm", "held")


def test_delete_by_selector_all_and_manifest(mk: CommandLine, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        labelled = config(name)
        labelled["metadata"]["labels"] = {"half": "1" if name in "ab" else "2"}
        mk.apply(labelled)
    assert len(mk.run("delete", "cm", "-l", "half=1").splitlines()) == 2
    file = tmp_path / "c.json"
    file.write_text(json.dumps(config("c")))
    mk.run("delete", "-f", str(file))
    assert mk.run("get", "cm", "-o", "name") == "configmap/d\n"
    mk.run("delete", "cm", "--all")
    assert mk.run("get", "cm", "-o", "name") == ""


def test_delete_passes_the_cascade_and_grace_period_on(mk: CommandLine) -> None:
    mk.apply(deployment("kept"))
    assert mk.run("delete", "deployment", "kept", "--cascade=foreground", "--wait=false")
    assert mk.get("deployment", "kept")["metadata"]["finalizers"] == ["foregroundDeletion"]
    mk.apply(deployment("left"))
    mk.run("delete", "deployment", "left", "--cascade=orphan", "--wait=false")
    assert mk.get("deployment", "left")["metadata"]["finalizers"] == ["orphan"]
    mk.apply(pod("p", nodeName="none"))
    mk.run("delete", "pod", "p", "--grace-period=7", "--wait=false")
    assert mk.get("pod", "p")["metadata"]["deletionGracePeriodSeconds"] == 7
    assert "force deleted" in mk.run("delete", "pod", "p", "--force")
    assert "not found" in mk.fails("get", "pod", "p")


# The rest


def test_wait_and_scale_and_json_paths(mk: CommandLine) -> None:
    mk.apply(deployment("web", replicas=2))
    assert mk.run("scale", "deploy/web", "--replicas=4", "--current-replicas=2") == "deployment.apps/web scaled\n"
    assert mk.run("wait", "deploy/web", "--for=jsonpath={.spec.replicas}=4") == "deployment.apps/web condition met\n"
    late = mk.fails("wait", "deploy", "--all", "--for=condition=Available", "--timeout=1s")
    assert late == "error: timed out waiting for the condition on deployments/web\n"


def test_drain_evicts_what_it_may_and_reports_the_rest(mk: CommandLine, api: ApiServer) -> None:
    name = f"node-of-{mk.namespace}"
    mk.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "1", "controller": True}
    owned, local, done = pod("owned"), pod("local", volumes=[{"name": "v", "emptyDir": {}}]), pod("done")
    for item in (owned, local, done):
        item["spec"]["nodeName"] = name
        item["metadata"]["ownerReferences"] = [owner]
    mk.apply(owned, local, done)
    refused = mk.try_run("drain", name)
    assert (refused.returncode, refused.stdout) == (1, f"node/{name} cordoned\n")
    assert f'unable to drain node "{name}" due to error' in refused.stderr
    assert f"Pods with local storage (use --delete-emptydir-data to override): {mk.namespace}/local" in refused.stderr
    timed_out = mk.try_run("drain", name, "--delete-emptydir-data", "--timeout=1s")  # no kubelet ends the pods
    assert timed_out.returncode == 1
    assert f"evicting pod {mk.namespace}/owned\n" in timed_out.stdout
    said = mk.run("drain", name, "--delete-emptydir-data", "--grace-period=0", "--disable-eviction")
    assert "pod/owned deleted\n" in said
    assert said.endswith(f"node/{name} drained\n")
    assert mk.items("pods") == []
    assert mk.get("node", name)["spec"]["unschedulable"] is True
    assert mk.run("uncordon", name) == f"node/{name} uncordoned\n"


def test_versions(mk: CommandLine) -> None:
    assert "Client Version: v1.35" in mk.run("version", "--client")
    assert "Server Version: v1.35" in mk.run("version")
    assert json.loads(mk.run("version", "-o", "json"))["serverVersion"]["minor"].startswith("35")


def test_the_kubeconfig_rules(mk: CommandLine, api: ApiServer, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("apiVersion: v1\nkind: Config\ncurrent-context: elsewhere\n")
    document = json.loads(mk.kubeconfig.read_text())
    document["contexts"][0] |= {"name": "elsewhere"}
    document["contexts"][0]["context"]["namespace"] = mk.namespace
    second.write_text(json.dumps(document))
    mk.apply(config("mine"))
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=False, timeout=60)
    both = {**os.environ, "KUBECONFIG": f"{first}:{second}:{tmp_path / 'missing'}"}
    assert run([MINI_KUBECTL, "get", "cm", "-o", "name"], env=both).stdout == "configmap/mine\n"
    assert run([MINI_KUBECTL, "config", "current-context"], env=both).stdout == "elsewhere\n"
    nowhere = {**os.environ, "KUBECONFIG": str(tmp_path / "missing"), "HOME": str(tmp_path / "nobody")}
    lost = run([MINI_KUBECTL, "get", "pods"], env=nowhere)
    assert (lost.returncode, lost.stdout) == (1, "")
    assert "no kubeconfig found" in lost.stderr
    assert run([MINI_KUBECTL, "version", "--client"], env=nowhere).returncode == 0
    assert run([MINI_KUBECTL, "config", "view"], env=nowhere).returncode == 0
    flags = ["-s", api.url, "--token=test-token", "--insecure-skip-tls-verify", "-n", mk.namespace]
    assert run([MINI_KUBECTL, *flags, "get", "cm", "-o", "name"], env=nowhere).stdout == "configmap/mine\n"
    wrong = run([MINI_KUBECTL, "get", "pods", "--context=none"], env=both)
    assert (wrong.returncode, wrong.stderr) == (1, 'error: context "none" does not exist in the kubeconfig\n')
    first.write_text("a: [")
    broken = run([MINI_KUBECTL, "get", "pods"], env=both)
    assert broken.returncode == 1
    assert len(broken.stderr.splitlines()) == 1


def test_a_server_that_starts_late_is_unreachable_until_then(mk: CommandLine, api: ApiServer) -> None:
    """Against the same kubeconfig: refused while it is down, served as soon as it is up."""
    api.stop()
    try:
        assert mk.fails("get", "pods").startswith(f"The connection to the server 127.0.0.1:{api.port} was refused")
    finally:
        api.start()
    eventually(lambda: mk.try_run("get", "cm").returncode == 0, "the server answers again")


def test_colours_are_for_terminals_only(mk: CommandLine) -> None:
    assert "\x1b" not in mk.fails("get", "nothing")
