"""The verbs that write, beside the real kubectl on the same API server: the same words, the same objects."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

import tests.kits.client.kubectlpair
from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import InProcess, Pair, compare, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import HAS_KUBECTL, ApiServer

pytestmark = pytest.mark.skipif(not HAS_KUBECTL, reason="kubectl is not on PATH")

NAMESPACE = "writes"
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "labels": {"app": "x"}}}
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: x}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", env: [{name: A, value: b}]}]}
"""
RESET = "replace --force --save-config -f cm.yaml"
OTHERS = "apply --server-side --force-conflicts --field-manager=other -f cm.yaml"


def config_map(**data: str) -> str:
    return json.dumps({**CONFIG_MAP, "data": data})


FILES = {
    "cm.yaml": config_map(a="1") + "\n---" + DEPLOYMENT,
    "cm2.yaml": config_map(a="2"),
    "web2.yaml": DEPLOYMENT.replace("web:1", "web:2").replace("value: b", "value: c"),
    "selector.yaml": DEPLOYMENT.replace("app: web", "app: other"),
    "new.yaml": config_map(a="1").replace("one", "new"),
    "more.yaml": config_map(a="1").replace("one", "more"),
    "plain.yaml": json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plain"}}),
    "list.yaml": json.dumps({"apiVersion": "v1", "kind": "List", "items": [{**CONFIG_MAP, "data": {"a": "1"}}]}),
    "secret.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: one}, data: {a: YQ==, b: YQ==, c: YQ==}}",
    "secret2.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: one}, data: {a: Yg==, b: YQ==, d: YQ==}}",
    "kz/kustomization.yaml": "configMapGenerator: [{name: made, literals: [a=b]}]\n",
}


class Here(Pair):
    """A Pair that runs one after the other."""

    def same(self, line: str, *more: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        mini, real = (at.try_run(*line.split(), *more, stdin=stdin) for at in (self.mini, self.real))
        return compare(line, mini, real)


@pytest.fixture(scope="module")
def pair(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """In a folder with FILES; the namespace has what cm.yaml says."""
    folder = tmp_path_factory.mktemp("writes")
    os.chdir(folder)
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    api.make_namespace(NAMESPACE)
    kubeconfig = write_kubeconfig(api, folder / "kubeconfig", NAMESPACE)
    newest = [path for version, path in KUBECTLS.items() if version][-1:] or [KUBECTLS[""]]
    found = Here(InProcess(kubeconfig, NAMESPACE), CommandLine(kubeconfig, NAMESPACE, program=str(newest[0])))
    found.mini.run("apply", "-f", "cm.yaml", "-f", "secret.yaml")
    found.mini.run("create", "service", "clusterip", "s1", "--tcp=80")
    found.mini.run("create", "cm", "plain")
    return found


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    monkeypatch.chdir(pair.mini.kubeconfig.parent)
    monkeypatch.setenv("TMPDIR", str(pair.mini.kubeconfig.parent))  # where both keep edits that were not valid


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons leave out what differs between two runs: names of temporary files, uids, times."""
    seen = tests.kits.client.kubectlpair.seen
    noise = re.compile(
        r"\S*(LIVE|MERGED)-[^/]*/|\S*kubectl[\w.]*-edit-\w+|\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d.*|(?<=kubectl)\.\d\.\d+"
        r'|"?(uid|resourceVersion|generation|creationTimestamp)"?: .*'
    )

    def plain(done: subprocess.CompletedProcess[str]) -> tuple[list[str], list[str], int]:
        out, err, code = seen(done)
        return [noise.sub("", line) for line in out], [noise.sub("", line) for line in err], code

    monkeypatch.setattr(tests.kits.client.kubectlpair, "seen", plain)


@pytest.mark.parametrize(
    "line",
    [
        "patch cm one -p x --patch-file y",
        'patch cm one -p {"data":{"a":"1"}}',
        'patch cm one -p {"data":{"a":"2"}} --dry-run=client -o yaml',
        'patch cm one nope -p {"data":{"a":"2"}} --dry-run=server',
        'patch deploy web --subresource=scale --type=merge -p {"spec":{"replicas":1}}',
        'patch -f cm.yaml --local -p {"metadata":{"labels":{"z":"y"}}} -o yaml',
        "replace",
        "replace -f cm.yaml --force --dry-run=server",
        "replace -f cm.yaml --dry-run=client -o yaml",
        "replace -f cm.yaml -k kz",
        "delete -f cm.yaml cm one",
        "create -f cm.yaml --dry-run=client -o yaml",
        "create token nope",
        "set image deploy/web *=web:4 web=web:5",
        "set image cm/one web=x",
        "set image -f cm.yaml web=x --local -o yaml",
        "set image deploy --all web=x --dry-run=server",
        "set env deploy/web --list",
        "set env deploy/web A=c --overwrite=false",
        "set env deploy/web X=2 -c n*",
        "set env deploy/web --from=configmap/one --prefix=P_ --dry-run=client -o yaml",
        "set resources deploy/web --limits=cpu=x",
        "apply -f cm.yaml --force-conflicts",
        "apply web -f cm.yaml",
        "apply",
        "apply -f selector.yaml",
        "apply -f cm?.yaml --dry-run=server",
        "apply -f list.yaml --dry-run=server",
        "apply -k kz --dry-run=client",
        "label -f cm.yaml --list",
    ],
)
def test_without_changes(pair: Pair, line: str) -> None:
    pair.same(line)


@pytest.mark.parametrize(
    ("reset", "line"),
    [
        (RESET, 'patch cm one -p {"data":{"a":"2"}}'),
        (RESET, "replace --force -f cm2.yaml"),
        ("delete cm one", "replace -f cm.yaml"),
        (RESET, "set image deploy/web web=web:2"),
        (RESET, "set env deploy/web X=1 A-"),
        (RESET, "set resources deploy/web --limits=cpu=1,memory=1Gi --requests=cpu=100m"),
        (RESET, "apply -f selector.yaml --force"),
        ("delete -f cm.yaml --ignore-not-found", "apply --server-side -f cm.yaml"),
        (OTHERS, "apply --server-side -f cm2.yaml -f web2.yaml"),
        (OTHERS, "apply --server-side --force-conflicts -f cm2.yaml"),
    ],
)  # fmt: skip
def test_changes(pair: Pair, reset: str, line: str) -> None:
    pair.same_after(reset, line)


@pytest.mark.usefixtures("unnamed")
@pytest.mark.parametrize(
    "line",
    ["diff -f cm.yaml", "diff -f cm2.yaml", "diff -f web2.yaml", "diff -f secret2.yaml", "diff",
     "diff --server-side -f cm2.yaml --force-conflicts", "diff -f selector.yaml"],
)  # fmt: skip
def test_diff(pair: Pair, line: str) -> None:
    pair.same_after("apply -f cm.yaml -f more.yaml", line)


def test_another_program_compares(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.mini.run("apply", "-f", "cm.yaml")
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", "nonexistent -u")
    assert pair.same("diff -f cm2.yaml").returncode == 2
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", "echo -x --y=1 ;z $(w)")
    done = pair.mini.try_run("diff", "-f", "cm2.yaml")
    assert re.fullmatch(r"-x --y=1 \S+/LIVE-\S+ \S+/MERGED-\S+\n", done.stdout)


EDITOR = """#!/bin/sh
n=$(cat {folder}/count 2>/dev/null || echo 0); echo $((n + 1)) > {folder}/count
cat "$1"
sed -i "$(sed -n $((n + 1))p {folder}/script)" "$1"
"""


@pytest.mark.usefixtures("unnamed")
@pytest.mark.parametrize(
    ("line", "edits"),
    [
        ("edit cm one", 's/a: "1"/a: "5"/'),
        ("edit cm one -o json", 's/"a": "1"/"a": "5"/'),
        ("edit cm one", "s/name: one/name: two/"),
        ("edit cm one", "s/kind: ConfigMap/kind: Foo/"),
        ("edit cm one", 's/^data:/data: [}/\ns/^data: .*/data:/;s/a: "1"/a: "6"/'),
        ("edit cm/one deploy/web", 's/image: .*/image: ""/\ns/image: .*/image: "n"/'),
        ("edit cm one", 's/resourceVersion: .*/resourceVersion: "1"/'),
    ],
)
def test_edit(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, edits: str) -> None:
    """`edits` has a line for each time the editor is opened."""
    editor = tmp_path / "editor"
    editor.write_text(EDITOR.format(folder=tmp_path))
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "script").write_text(edits + "\n")
    monkeypatch.setenv("KUBE_EDITOR", str(editor))
    runs = []
    mini = CommandLine(pair.mini.kubeconfig, NAMESPACE)  # an editor writes to what the program was given
    for at in (mini, pair.real):
        pair.real.try_run(*RESET.split())
        (tmp_path / "count").unlink(missing_ok=True)
        runs.append(at.try_run(*line.split()))
    tests.kits.client.kubectlpair.compare(line, *runs)


def test_an_editor_that_fails(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    for editor in ("false", "/nonexistent/editor -w"):
        monkeypatch.setenv("KUBE_EDITOR", editor)
        pair.same("edit cm one")


def test_fields_of_client_side_apply_are_taken_over(pair: Pair) -> None:
    """As the real one leaves them: the applier owns the fields, and the annotation is kept by an owner of its own."""
    owned = []
    for at in (pair.real, pair.mini):
        pair.real.run("delete", "cm", "one", "--ignore-not-found")
        pair.real.run("apply", "-f", "cm.yaml")
        at.run("apply", "--server-side", "-f", "cm.yaml")
        fields = pair.mini.get("cm", "one", "--show-managed-fields")["metadata"]["managedFields"]
        entries = [{key: value for key, value in entry.items() if key != "time"} for entry in fields]
        owned.append(sorted(entries, key=lambda entry: str(entry["manager"])))  # their own order is that of their times
    assert owned[0] == owned[1]
    assert [entry["manager"] for entry in owned[0]] == ["kubectl", "kubectl-last-applied"]
    pair.mini.run("apply", "--server-side", "--force-conflicts", "-f", "plain.yaml", "-f", "cm2.yaml")
    assert pair.mini.get("cm", "one")["data"] == {"a": "2"}


@pytest.mark.parametrize(
    ("line", "manager"),
    [
        ("apply -f cm2.yaml", "kubectl-client-side-apply"),
        ("replace -f cm2.yaml", "kubectl-replace"),
        ('patch cm one -p {"data":{"a":"2"}}', "kubectl-patch"),
        ("label cm one x=y", "kubectl-label"),
        ("annotate cm one x=y", "kubectl-annotate"),
        ("set image deploy/web web=web:9", "kubectl-set"),
        ("rollout restart deploy/web", "kubectl-rollout"),
        ("label cm one x=y --field-manager=me", "me"),
        ("scale deploy/web --replicas=2", "kubectl"),
    ],
)
def test_every_verb_says_who_writes(pair: Pair, line: str, manager: str) -> None:
    pair.real.run("delete", "-f", "cm.yaml", "--ignore-not-found")
    pair.real.run("create", "-f", "cm.yaml")
    pair.mini.run(*line.split())
    name = "deploy/web" if "deploy" in line else "cm/one"
    entries = pair.mini.get(name, "--show-managed-fields")["metadata"]["managedFields"]
    assert manager in {entry["manager"] for entry in entries}
