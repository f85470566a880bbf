"""`kubectl debug`, by every real kubectl that the machine has: containers beside those of a pod, copies, nodes."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.eventually import eventually
from tests.kits.manifests import IMAGE, container, pod

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(not KUBECTLS, reason="needs a real kubectl")]

VERSIONS = [version for version in ("1.27", "1.30", "1.33") if version in KUBECTLS] or list(KUBECTLS)[-1:]
DEBUG = ("debug", f"--image={IMAGE}")
SECONDS = 60.0


@pytest.fixture
def kubectl(cluster: ClusterHandle, namespace: str, image: str) -> CommandLine:
    return real(cluster, namespace, VERSIONS[-1])


@pytest.fixture(scope="module")
def shared(cluster: ClusterHandle, image: str) -> Iterator[str]:
    """A namespace with a running pod "x", which gets debug containers from several tests."""
    name = "debugging"
    kubectl = real(cluster, name, VERSIONS[-1])
    kubectl.run("create", "namespace", name)
    run_pod(kubectl)
    yield name
    kubectl.run("delete", "namespace", name, "--wait=false")


def real(cluster: ClusterHandle, namespace: str, version: str) -> CommandLine:
    return CommandLine(cluster.kubeconfig, namespace, str(KUBECTLS[version]))


def run_pod(kubectl: CommandLine, **spec: object) -> None:
    kubectl.apply(pod("x", container("sh", "-c", "echo from the pod; sleep 100000"), **spec))
    kubectl.run("wait", "--for=condition=Ready", "pod/x", "--timeout=120s")


def ended(kubectl: CommandLine, name: str, of: str = "ephemeralContainerStatuses", pod_name: str = "x") -> int:
    """The exit code of a container, once it is over."""

    def code() -> tuple[int] | None:
        statuses = kubectl.get("pod", pod_name)["status"].get(of, [])
        states = [item["state"] for item in statuses if item["name"] == name]
        return (states[0]["terminated"]["exitCode"],) if states and "terminated" in states[0] else None

    return eventually(code, f"the end of {name}", SECONDS)[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_debug_container_sees_its_target(cluster: ClusterHandle, kubectl: CommandLine, version: str) -> None:
    run_pod(kubectl)
    command = ("sh", "-c", "ps; cat /proc/1/root/etc/hostname; exit 3")
    own = real(cluster, kubectl.namespace, version)
    own.run(*DEBUG, "pod/x", "--target=app", "-c", "debugger", "--", *command)
    assert ended(kubectl, "debugger") == 3
    log = own.run("logs", "x", "-c", "debugger")
    assert "sleep 100000" in log
    assert log.endswith("x\n")
    own.run(*DEBUG, "pod/x", "-c", "second", "--", "sleep", "1000")
    found = eventually(lambda: beside(kubectl, {"debugger": False, "second": True}), "the second one runs", SECONDS)
    assert found["metadata"]["generation"] == found["status"]["observedGeneration"] == 3
    assert {"type": "Ready", "status": "True"}.items() <= condition(found, "Ready").items()
    processes = own.run("exec", "x", "-c", "second", "--", "ps")
    assert "sleep 1000" in processes
    assert "sleep 100000" not in processes
    own.run("delete", "pod", "x", "--timeout=30s")


def beside(kubectl: CommandLine, running: dict[str, bool]) -> dict[str, Any] | None:
    """The pod, once just these debug containers run or not."""
    found = kubectl.get("pod", "x")
    states = {item["name"]: "running" in item["state"] for item in found["status"]["ephemeralContainerStatuses"]}
    return found if states == running else None


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(item for item in found["status"]["conditions"] if item["type"] == kind)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_terminal_in_a_debug_container(cluster: ClusterHandle, shared: str, version: str) -> None:
    own, name = real(cluster, shared, version), f"shell-{version.replace('.', '-')}"
    screen = terminal(own, "debug", "-it", "pod/x", f"--image={IMAGE}", "--target=app", "-c", name, "--", "sh")
    assert "/dev/pts/" in screen
    assert "sleep 100000" in screen
    assert ended(own, name) == 7


@pytest.mark.parametrize("version", VERSIONS)
def test_commands_piped_into_a_debug_container(cluster: ClusterHandle, shared: str, version: str) -> None:
    """The end of the input is not the end of the output."""
    own, name = real(cluster, shared, version), f"piped-{version.replace('.', '-')}"
    words = ("debug", "-i", "pod/x", f"--image={IMAGE}", "-c", name, "--", "sh")
    done = own.try_run(*words, stdin="echo one\nsleep 1\necho two\nexit 5\n", timeout=SECONDS)
    assert done.stdout == "one\ntwo\n"
    assert ended(own, name) == 5


def terminal(kubectl: CommandLine, *words: str) -> str:
    """What a user sees who answers the prompt with a few commands."""
    process, screen = pty.fork()
    if process == 0:
        environment = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig), "TERM": "dumb"}
        os.execve(kubectl.program, ["kubectl", "-n", kubectl.namespace, *words], environment)
    seen, typed, deadline = b"", False, time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline:
            if not typed and (b"# " in seen or b"pressing enter" in seen):
                os.write(screen, b"ls -l /proc/self/fd/0; ps; exit 7\n")
                typed = True
            if select.select([screen], [], [], 0.2)[0]:
                data = os.read(screen, 4096)
                if not data:
                    break
                seen += data
    except OSError:  # the end of a terminal whose other side is closed
        pass
    finally:
        os.close(screen)
        os.waitpid(process, 0)
    return seen.decode(errors="replace")


def test_a_copy_that_shares_its_processes(kubectl: CommandLine) -> None:
    run_pod(kubectl)
    command = ("sh", "-c", "ps; cat /proc/*/root/etc/hostname; sleep 100000")
    words = (*DEBUG, "pod/x", "--copy-to=copy", "--share-processes", "-c", "debugger", "--", *command)
    kubectl.run(*words)
    kubectl.run("wait", "--for=condition=Ready", "pod/copy", "--timeout=120s")
    log = eventually(lambda: logged(kubectl, "copy", "copy\n"), "the processes of the copy", SECONDS)
    assert "/pause" in log
    assert kubectl.get("pod", "copy")["spec"]["shareProcessNamespace"] is True


def logged(kubectl: CommandLine, name: str, text: str) -> str | None:
    log = kubectl.try_run("logs", name, "-c", "debugger").stdout
    return log if text in log else None


def test_a_node_is_debugged_with_its_root_and_its_network(cluster: ClusterHandle, kubectl: CommandLine) -> None:
    said = kubectl.run(*DEBUG, "node/worker-1", "--", "sh", "-c", "ps; ls /host; cat /proc/net/fib_trie")
    name = next(word for word in said.split() if word.startswith("node-debugger-"))
    assert ended(kubectl, "debugger", "containerStatuses", name) == 0
    log = kubectl.run("logs", name)
    assert "kubelet" in log  # of the host's processes
    assert {"etc", "usr"} <= set(log.split())
    assert cluster.node_ips["worker-1"] in log


def test_a_profile_gives_a_debug_container_its_rights(kubectl: CommandLine) -> None:
    run_pod(kubectl)
    command = ("sh", "-c", "cat /proc/self/status")
    kubectl.run(*DEBUG, "pod/x", "--profile=netadmin", "-c", "net", "--", *command)
    kubectl.run(*DEBUG, "pod/x", "--profile=restricted", "-c", "strict", "--", *command)
    assert ended(kubectl, "net") == 0
    capabilities = int(kubectl.run("logs", "x", "-c", "net").partition("CapEff:")[2].split()[0], 16)
    assert capabilities & (1 << 12), "CAP_NET_ADMIN"
    why = eventually(lambda: waiting(kubectl, "strict"), "the image's user is refused", SECONDS)
    assert "image will run as root" in why["message"]


def waiting(kubectl: CommandLine, name: str) -> dict[str, Any]:
    """Why a debug container does not run."""
    statuses = kubectl.get("pod", "x")["status"].get("ephemeralContainerStatuses", [])
    states = [item["state"].get("waiting", {}) for item in statuses if item["name"] == name]
    return states[0] if states and states[0].get("message") else {}


def test_what_the_api_refuses(kubectl: CommandLine) -> None:
    run_pod(kubectl)
    refused = kubectl.try_run(*DEBUG, "pod/x", "--target=nobody", "-c", "debugger", "--", "true")
    assert refused.returncode == 1
    assert 'spec.ephemeralContainers[0].targetContainerName: Not found: "nobody"' in refused.stderr
