"""Real kubectl of several ages: server-side apply, its migration from client-side apply, dry runs and validation."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.manifests import configmap, container, deployment, service

AGES = [version for version in ("1.27", "1.30", "1.33") if version in KUBECTLS] or list(KUBECTLS)[-1:]

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="kubectl is not on PATH")


@pytest.fixture
def kubectl(request: pytest.FixtureRequest, api: ApiServer, namespace: str, tmp_path: Path) -> CommandLine:
    """The newest, where a test does not ask for others."""
    config = write_kubeconfig(api, tmp_path / "kubeconfig", namespace)
    return CommandLine(config, namespace, str(KUBECTLS[getattr(request, "param", AGES[-1])]))


every_age = pytest.mark.parametrize("kubectl", AGES, indirect=True)


def web(replicas: int = 2) -> dict[str, Any]:
    return deployment("web", replicas, container(ports=[{"containerPort": 80}]))


def text(*objects: dict[str, Any]) -> str:
    """Old versions do not read several JSON documents."""
    return json.dumps(objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": objects})


def managers(kubectl: CommandLine, what: str) -> list[tuple[str, str]]:
    shown = json.loads(kubectl.run("get", what, "-o", "json", "--show-managed-fields"))
    return [(entry["manager"], entry["operation"]) for entry in shown["metadata"]["managedFields"]]


@every_age
def test_server_side_apply_conflicts_and_force(kubectl: CommandLine) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    objects = text(web(), service("web"), configmap("web", a="1"))
    told = ["deployment.apps/web serverside-applied", "service/web serverside-applied"]
    assert kubectl.run(*apply, stdin=objects).splitlines() == [*told, "configmap/web serverside-applied"]
    version = kubectl.get("deploy/web")["metadata"]["resourceVersion"]
    kubectl.run(*apply, stdin=objects)
    assert kubectl.get("deploy/web")["metadata"]["resourceVersion"] == version
    kubectl.run("scale", "deploy/web", "--replicas=5")
    error = kubectl.fails(*apply, stdin=text(web(3)))
    name = Path(kubectl.program).name
    assert f'conflict with "{name}" with subresource "scale" using apps/v1: .spec.replicas' in error
    kubectl.run(*apply, "--force-conflicts", stdin=text(web(3)))
    assert kubectl.get("deploy/web")["spec"]["replicas"] == 3
    error = kubectl.fails(*apply, "--field-manager=other", stdin=text(web(4)))
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas' in error
    shown = kubectl.run("get", "configmap/web", "-o", "yaml", "--show-managed-fields")
    assert "      f:data:\n        f:a: {}\n    manager: kubectl\n    operation: Apply" in shown
    assert "managedFields" not in kubectl.run("get", "configmap/web", "-o", "yaml")


@every_age
def test_an_object_applied_from_the_clients_side_moves_to_the_servers(kubectl: CommandLine) -> None:
    kubectl.run("apply", "-f", "-", stdin=text(web(), configmap("web", a="1", b="1")))
    assert managers(kubectl, "deploy/web") == [("kubectl-client-side-apply", "Update")]
    done = kubectl.try_run("apply", "--server-side", "-f", "-", stdin=text(web(3), configmap("web", a="2")))
    assert (done.returncode, done.stderr) == (0, "")
    assert ("kubectl", "Apply") in managers(kubectl, "deploy/web")  # in which place, the second of each write decides
    assert ("kubectl-client-side-apply", "Update") not in managers(kubectl, "deploy/web")
    assert kubectl.get("deploy/web")["spec"]["replicas"] == 3
    assert kubectl.get("configmap/web")["data"] == {"a": "2"}, "what was given up in the same step is gone"
    last = kubectl.get("configmap/web")["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert json.loads(last)["data"] == {"a": "2"}
    kubectl.run("apply", "-f", "-", stdin=text(web(4), configmap("web", c="3")))
    assert kubectl.get("configmap/web")["data"] == {"c": "3"}


def test_last_applied_is_shown_and_edited(kubectl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl.run("apply", "-f", "-", stdin=text(configmap("web", a="hello")))
    assert "a: hello" in kubectl.run("apply", "view-last-applied", "configmap/web")
    monkeypatch.setenv("KUBE_EDITOR", "sed -i s/hello/bye/")
    assert "configmap/web edited" in kubectl.run("apply", "edit-last-applied", "configmap/web")
    assert "a: bye" in kubectl.run("apply", "view-last-applied", "configmap/web")
    assert kubectl.get("configmap/web")["data"] == {"a": "hello"}
    kubectl.run("apply", "set-last-applied", "-f", "-", stdin=text(configmap("web", a="set")))
    assert "a: set" in kubectl.run("apply", "view-last-applied", "configmap/web")


def test_a_diff_on_the_servers_side_tells_what_an_apply_would_change(kubectl: CommandLine) -> None:
    kubectl.run("apply", "--server-side", "-f", "-", stdin=text(web()))

    def diff(obj: dict[str, Any], *flags: str) -> subprocess.CompletedProcess[str]:
        return kubectl.try_run("diff", "--server-side", *flags, "-f", "-", stdin=text(obj))

    assert diff(web()).returncode == 0
    changed = diff(web(7))
    assert (changed.returncode, "+  replicas: 7" in changed.stdout) == (1, True), changed.stderr
    kubectl.run("scale", "deploy/web", "--replicas=5")
    assert "Apply failed with 1 conflict" in diff(web(7)).stderr
    assert "+  replicas: 7" in diff(web(7), "--force-conflicts").stdout
    assert kubectl.get("deploy/web")["spec"]["replicas"] == 5


def test_dry_runs_and_validation(kubectl: CommandLine) -> None:
    bad = text({**web(), "spec": {**web()["spec"], "replicaz": 1}})
    create = ("create", "--dry-run=server", "-o", "name", "-f", "-")
    assert 'strict decoding error: unknown field "spec.replicaz"' in kubectl.fails(*create, stdin=bad)
    warned = kubectl.try_run(*create, "--validate=warn", stdin=bad)
    assert (warned.stdout, warned.stderr) == ("deployment.apps/web\n", 'Warning: unknown field "spec.replicaz"\n')
    ignored = kubectl.try_run(*create, "--validate=ignore", stdin=bad)
    assert (ignored.stdout, ignored.stderr) == ("deployment.apps/web\n", "")
    told = kubectl.run("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=text(web(), service("web")))
    assert told.splitlines()[0] == "deployment.apps/web serverside-applied (server dry run)"
    assert kubectl.items("deploy,service") == []
    told = kubectl.fails("apply", "--server-side", "--validate=ignore", "-f", "-", stdin=bad)
    assert ".spec.replicaz: field not declared in schema" in told


def test_every_changing_command_is_written_down(kubectl: CommandLine) -> None:
    kubectl.run("create", "-f", "-", stdin=text(web()))
    kubectl.run("label", "deploy/web", "x=y")
    kubectl.run("annotate", "deploy/web", "x=y")
    kubectl.run("set", "image", "deploy/web", "app=app:9")
    kubectl.run("patch", "deploy/web", "-p", '{"spec":{"minReadySeconds":1}}')
    names = {name for name, _ in managers(kubectl, "deploy/web")}
    assert names == {"kubectl-create", "kubectl-label", "kubectl-annotate", "kubectl-set", "kubectl-patch"}
    editor = {**os.environ, "KUBE_EDITOR": "sed -i s/minReadySeconds..1/minReadySeconds:\\ 2/"}
    done = subprocess.run(
        [kubectl.program, "-n", kubectl.namespace, "edit", "deploy/web"],
        env={**editor, "KUBECONFIG": str(kubectl.kubeconfig)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ("kubectl-edit", "Update") in managers(kubectl, "deploy/web")
    kubectl.run("replace", "-f", "-", stdin=text(web(6)))
    assert ("kubectl-replace", "Update") in managers(kubectl, "deploy/web")
