"""exec, attach, cp, port-forward, logs and proxies on real containers, with every kind of kubectl that speaks them.

1.27 speaks SPDY alone, 1.30 WebSockets for exec, 1.31 and later for port-forward as well.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.eventually import eventually

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="no kubectl on this machine")

WANTED = ("1.27", "1.30", "1.31", "1.33")
VERSIONS = [version for version in WANTED if version in KUBECTLS] or [""]
SECONDS = 60.0
BIG = os.urandom(3_000_000)

LOOPBACK = "httpd -p 127.0.0.1:8081 -h /www; exec httpd -f -p 8080 -h /www"


@pytest.fixture(scope="module")
def place(cluster: ClusterHandle, image: str) -> Iterator[CommandLine]:
    """kubectl in a namespace with the pods "web" (containers app and cat) and "once", and the Service "web"."""
    name = "streaming"
    root = CommandLine(cluster.kubeconfig, name, str(KUBECTLS[VERSIONS[-1]]))
    root.run("create", "namespace", name)
    once = "echo one; echo two; sleep 2; echo three; exit 1"
    containers = [
        {"name": "app", "image": image, "command": ["sh", "-c", f"echo app; {LOOPBACK}"]},
        {"name": "cat", "image": image, "command": ["cat"], "stdin": True},
    ]
    containers[0] |= {"ports": [{"name": "http", "containerPort": 8080}]}
    serves = {"readinessProbe": {"httpGet": {"path": "/ok", "port": 8080}, "periodSeconds": 1}}
    spec: dict[str, Any] = {"terminationGracePeriodSeconds": 0}
    root.apply(
        make("v1", "Pod", "web", spec | {"containers": [containers[0] | serves, containers[1]]}),
        make("v1", "Pod", "once", spec | {"containers": [containers[0] | {"command": ["sh", "-c", once]}]}),
        make("v1", "Service", "web", {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}),
    )
    root.run("wait", "--for=condition=Ready", "pod/web", "--timeout=120s")
    yield root
    root.run("delete", "namespace", name, "--wait=false")


def make(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


@pytest.fixture(params=VERSIONS)
def kubectl(request: pytest.FixtureRequest, place: CommandLine) -> CommandLine:
    return CommandLine(place.kubeconfig, place.namespace, str(KUBECTLS[request.param]))


def test_a_command_gets_its_input_and_gives_output_and_exit_code(kubectl: CommandLine) -> None:
    done = kubectl.try_run("exec", "web", "-c", "app", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 3\n"
    command = [kubectl.program, "-n", kubectl.namespace, "exec", "-i", "web", "-c", "app", "--", "cat"]
    env = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}
    copied = subprocess.run(command, input=BIG, env=env, capture_output=True, timeout=SECONDS, check=True)
    assert copied.stdout == BIG
    assert "container nope is not valid for pod web" in kubectl.fails("exec", "web", "-c", "nope", "--", "true")


def test_a_terminal_has_its_size_and_interrupts(kubectl: CommandLine) -> None:
    words = ["-n", kubectl.namespace, "exec", "-it", "web", "-c", "app", "--", "sh"]
    with terminal(kubectl, *words) as (write, until, resize, exit_code):
        until("# ")
        write("stty size\n")
        until("33 101")
        write("until [ \"$(stty size)\" = '44 155' ]; do sleep 0.1; done; echo resi''zed\n")
        resize(44, 155)
        until("resized")
        write("sh -c 'echo rea''dy; cat'\n")
        until("ready")
        write("\x03")
        until("# ")
        write("exit 7\n")
        assert exit_code() == 7


def test_attach_joins_a_running_process(kubectl: CommandLine) -> None:
    command = [kubectl.program, "-n", kubectl.namespace, "attach", "-i", "web", "-c", "cat"]
    env = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"hello\n")
        assert b"hello\n" in iter(process.stdout.readline, b"")
        process.kill()  # the process in the container goes on, for the next one


def test_files_are_copied_both_ways(kubectl: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "big").write_bytes(BIG)
    kubectl.run("cp", f"{tmp_path}/there", "web:/tmp/there", "-c", "app")
    kubectl.run("cp", "web:/tmp/there", f"{tmp_path}/back", "-c", "app")
    assert (tmp_path / "back" / "big").read_bytes() == BIG
    kubectl.run("exec", "web", "-c", "app", "--", "rm", "-r", "/tmp/there")


@pytest.mark.parametrize(("target", "ports"), [("pod/web", (8080, 8081)), ("svc/web", (80,))])
def test_ports_are_forwarded(kubectl: CommandLine, target: str, ports: tuple[int, ...]) -> None:
    """8081 listens on the pod's loopback alone."""
    with forwarded(kubectl, target, *ports) as local, ThreadPoolExecutor(8) as threads:
        urls = [f"http://127.0.0.1:{port}/ok" for port in local for _ in range(10)]
        assert set(threads.map(fetch, urls)) == {b"ok\n"}


def test_a_port_at_which_nobody_listens_is_told(kubectl: CommandLine) -> None:
    with forwarded(kubectl, "pod/web", 9) as local, pytest.raises((URLError, ConnectionError, HTTPException)):
        fetch(f"http://127.0.0.1:{local[0]}/")


def test_logs_are_followed_to_the_end_of_the_container(kubectl: CommandLine) -> None:
    """Each container of a restarted one has a log of its own: a follower is done when its container is."""
    eventually(lambda: restarts(kubectl) >= 1, "a restart")
    previous = kubectl.run("logs", "once", "--previous")
    assert previous == "one\ntwo\nthree\n"
    eventually(lambda: kubectl.run("logs", "-f", "once") == previous, "a followed log")
    lines = kubectl.run("logs", "-l", "app in (web,once)", "--all-containers", "--prefix", "--tail=1").splitlines()
    assert "[pod/web/app] app" in lines
    stamped = kubectl.run("logs", "web", "-c", "app", "--timestamps", "--since=1h")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z app\n", stamped)
    assert kubectl.run("logs", "web", "-c", "app", "--limit-bytes=2") == "ap"
    said = kubectl.fails("logs", "web", "-c", "app", "--previous")
    assert 'previous terminated container "app" in pod "web" not found' in said


def restarts(kubectl: CommandLine) -> int:
    return int(kubectl.get("pod", "once")["status"]["containerStatuses"][0]["restartCount"])


# Proxies


def test_proxies_reach_nodes_pods_and_services(place: CommandLine) -> None:
    node = place.get("pod", "web")["spec"]["nodeName"]
    raw = "/api/v1/namespaces/streaming"
    for path in ("pods/web", "pods/web:8080", "pods/http:web:8080", "services/web", "services/http:web:80"):
        assert place.run("get", "--raw", f"{raw}/{path}/proxy/ok") == "ok\n"
    summary = json.loads(place.run("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
    assert summary["node"]["nodeName"] == node
    assert place.run("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz") == "ok"
    assert place.run("get", "--raw", f"{raw}/pods/web:8080/proxy/cgi-bin/hostname") == "web\n"
    assert "connection refused" in place.fails("get", "--raw", f"{raw}/pods/web:9/proxy/").lower()
    assert 'no endpoints available for service "web:x"' in place.fails("get", "--raw", f"{raw}/services/web:x/proxy/")


def test_kubectl_proxy_passes_pages_on(place: CommandLine) -> None:
    with started(place, "proxy", "--port=0") as until:
        port = int(until(r"127\.0\.0\.1:(\d+)")[0])
        base = f"http://127.0.0.1:{port}/api/v1/namespaces/streaming/services/web/proxy"
        assert fetch(f"{base}/ok") == b"ok\n"
        with pytest.raises(HTTPError) as caught:  # through the redirect to its slash
            fetch(base)
        assert (caught.value.code, caught.value.url) == (404, f"{base}/")


# Programs under way


def fetch(url: str) -> bytes:
    with urlopen(url, timeout=SECONDS) as answer:
        found: bytes = answer.read()
    return found


@contextmanager
def started(kubectl: CommandLine, *words: str) -> Iterator[Callable[[str], list[str]]]:
    """kubectl at work; `until(pattern)` reads its output up to the pattern, and gives all that it has found."""
    command = [kubectl.program, "-n", kubectl.namespace, *words]
    env = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        output = process.stdout.fileno()
        text = ""

        def until(pattern: str) -> list[str]:
            nonlocal text
            deadline = time.monotonic() + SECONDS
            while not (found := re.findall(pattern, text)) and time.monotonic() < deadline:
                if select.select([output], [], [], 0.2)[0]:
                    text += os.read(output, 4096).decode()
            assert found, text
            return found

        try:
            yield until
        finally:
            process.kill()


@contextmanager
def forwarded(kubectl: CommandLine, target: str, *ports: int) -> Iterator[list[int]]:
    """The local ports."""
    with started(kubectl, "port-forward", "--address=127.0.0.1", target, *(f"0:{port}" for port in ports)) as until:
        yield [int(until(rf"127\.0\.0\.1:(\d+) -> {8080 if port == 80 else port}")[0]) for port in ports]


@contextmanager
def terminal(kubectl: CommandLine, *words: str) -> Iterator[Any]:
    """kubectl on a terminal of 33 lines of 101 characters: (write, until, resize, exit_code)."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ["KUBECONFIG"] = str(kubectl.kubeconfig)
        os.execv(kubectl.program, [kubectl.program, *words])
    output = b""
    status: list[int] = []

    def write(text: str) -> None:
        os.write(master, text.encode())

    def until(text: str) -> None:
        nonlocal output
        deadline = time.monotonic() + SECONDS
        while text.encode() not in output:
            assert time.monotonic() < deadline, output
            if select.select([master], [], [], 0.2)[0]:
                output += os.read(master, 4096)
        output = output.partition(text.encode())[2]

    def resize(lines: int, columns: int) -> None:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def exit_code() -> int:
        status.append(os.waitpid(pid, 0)[1])
        return os.waitstatus_to_exitcode(status[0])

    resize(33, 101)
    try:
        yield write, until, resize, exit_code
    finally:
        if not status:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(master)
