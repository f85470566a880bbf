"""mini-kubectl's streams, with real containers: sessions, copies, forwarded ports, debugging containers."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually

Dict = dict[str, Any]

PORT = 8080


@pytest.fixture
def web(mk: CommandLine, image: str) -> CommandLine:
    """With a running pod "web": a web server, and a shell that waits for what it is told."""
    common = {"image": image, "imagePullPolicy": "Never"}
    server = {"name": "app", "command": ["httpd", "-f", "-p", str(PORT), "-h", "/www"], **common}
    server["ports"] = [{"name": "http", "containerPort": PORT}]
    shell = {"name": "shell", "command": ["sh"], "stdin": True, **common}
    spec = {"containers": [server, shell], "terminationGracePeriodSeconds": 0}
    meta = {"name": "web", "labels": {"app": "web"}}
    mk.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    mk.run("wait", "--for=condition=Ready", "pod/web", "--timeout=120s")
    return mk


def test_a_session_ends_with_the_containers_exit_code(mk: CommandLine, image: str) -> None:
    flags = ["run", "one", f"--image={image}", "--image-pull-policy=Never", "-i", "--rm", "--restart=Never"]
    done = mk.try_run(*flags, "--", "sh", stdin="echo hello from $HOSTNAME; exit 3\n")
    assert done.returncode == 3, done.stderr
    assert "hello from one\n" in done.stdout
    assert f'pod "one" deleted from {mk.namespace} namespace\n' in done.stdout
    assert f"pod {mk.namespace}/one terminated (Error)\n" in done.stderr


def test_trees_are_copied_there_and_back(web: CommandLine, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "small").write_text("small\n")
    (source / "big").write_bytes(os.urandom(2_000_000))
    web.run("exec", "web", "-c", "app", "--", "/bin/busybox", "ln", "-sf", "busybox", "/bin/tar")
    web.run("cp", str(source), "web:/tmp/copy", "-c", "app")
    assert web.run("exec", "web", "-c", "app", "--", "cat", "/tmp/copy/sub/small") == "small\n"
    web.run("exec", "web", "-c", "app", "--", "/bin/busybox", "ln", "-s", "/etc", "/tmp/copy/link")
    done = web.try_run("cp", f"{web.namespace}/web:/tmp/copy", str(tmp_path / "back"), "-c", "app")
    assert done.returncode == 0, done.stderr
    assert 'skipping symlink: "tmp/copy/link" -> "/etc"' in done.stderr
    files = {
        str(f.relative_to(tmp_path / "back")): f.read_bytes() for f in (tmp_path / "back").rglob("*") if f.is_file()
    }
    assert files == {"sub/small": b"small\n", "big": (source / "big").read_bytes()}
    missing = web.try_run("cp", "web:/nope", str(tmp_path / "x"), "-c", "app")
    assert missing.returncode == 1
    assert missing.stderr.endswith("error: /nope no such file or directory\n")


@contextmanager
def forwarding(at: CommandLine, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and where it listens."""
    command = [at.program, "-n", at.namespace, "port-forward", *words]
    environment = {**os.environ, "KUBECONFIG": str(at.kubeconfig)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(rf"Forwarding from (127\.0\.0\.1:\d+) -> {PORT}\n", line)
            assert found, line
            yield process, f"http://{found[1]}"
        finally:
            process.terminate()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def test_a_local_port_leads_into_the_pod_until_it_goes(web: CommandLine) -> None:
    web.run("expose", "pod", "web", "--port=80", "--target-port=http")
    with forwarding(web, "service/web", ":80") as (process, url):
        assert [fetch(f"{url}/cgi-bin/hostname") for _ in range(3)] == ["web\n"] * 3
        web.run("delete", "pod", "web", "--now")
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "error: lost connection to pod\n"


def test_a_port_nobody_listens_on_ends_the_command(web: CommandLine) -> None:
    command = [web.program, "-n", web.namespace, "port-forward", "web", ":9999"]
    environment = {**os.environ, "KUBECONFIG": str(web.kubeconfig)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split(" -> ")[0].rpartition(":")[2]
        with pytest.raises(OSError, match=r"."):
            fetch(f"http://127.0.0.1:{port}/")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.match(rf"an error occurred forwarding {port} -> 9999: error forwarding port 9999 to pod ", errors)
    assert errors.endswith("error: lost connection to pod\n")


def test_a_debugging_container_sees_the_processes_of_its_target(web: CommandLine, image: str) -> None:
    flags = [f"--image={image}", "--image-pull-policy=Never", "--profile=general", "--attach", "-q"]
    look = "ls /proc/1/root/www; echo in $HOSTNAME"
    out = web.run("debug", "web", "-c", "look", "--target=app", *flags, "--", "sh", "-c", look)
    assert out.splitlines()[-3:] == ["cgi-bin", "ok", "in web"]
    web.run("debug", "web", "--copy-to=copy", "--set-image=*=none", "--profile=general")
    assert {c["image"] for c in web.get("pod", "copy")["spec"]["containers"]} == {"none"}


def test_one_can_talk_to_the_main_process(web: CommandLine) -> None:
    command = [web.program, "-n", web.namespace, "attach", "web", "-c", "shell", "-i"]
    environment = {**os.environ, "KUBECONFIG": str(web.kubeconfig)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "If you don't see a command prompt, try pressing enter.\n"
        process.stdin.write("echo sum $((1+1)); exit\n")
        process.stdin.flush()
        assert process.stdout.readline() == "sum 2\n"
        process.stdin.close()
        assert process.wait(60) == 0
    eventually(lambda: "sum 2" in web.run("logs", "web", "-c", "shell", "-p"), "the log of the shell that ended")
