"""What the Tab key does: candidates by `__complete`, and a real bash with the script."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.kits.client.commandline import MINI_KUBECTL, CommandLine
from tests.kits.client.kubectlpair import write_kubeconfig
from tests.kits.control_plane.apiserver import ApiServer

SECONDS = 60.0  # for an answer, on a busy machine
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {"containers": [{"name": "app", "image": "x"}, {"name": "side", "image": "x"}]},
}


@pytest.fixture(scope="module")
def kubeconfig(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = write_kubeconfig(api, tmp_path_factory.mktemp("completion") / "kubeconfig", "shop")
    api.make_namespace("shop")
    CommandLine(file, "shop").apply({**POD, "metadata": {"name": "web-1"}}, {**POD, "metadata": {"name": "web-2"}})
    return file


def complete(kubeconfig: Path, *words: str) -> list[str]:
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(
        [MINI_KUBECTL, "__complete", *words], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("desc", ["describe", ":4"]),
        ("rollout res", ["restart", "resume", ":4"]),
        ("get --all-n", ["--all-namespaces", ":4"]),
        ("get conf", ["configmaps", ":4"]),
        ("get pods web", ["web-1", "web-2", ":4"]),
        ("delete pod web-1 web", ["web-2", ":4"]),
        ("describe pod/w", ["pod/web-1", "pod/web-2", ":4"]),
        ("exec web-1 -c s", ["side", ":4"]),
        ("cp web-1", ["web-1:", ":2"]),
        ("get pods -n sh", ["shop", ":4"]),
        ("-n kube-s", ["kube-system", ":4"]),
        ("get pods -n default ", [":4"]),
        ("get pods --output=js", ["--output=json", "--output=jsonpath=", ":4"]),
        ("apply -f ", [":0"]),
        ("--context ", ["test", ":4"]),
        ("nonsense ", [":4"]),
    ],
)
def test_candidates(kubeconfig: Path, line: str, expected: list[str]) -> None:
    assert complete(kubeconfig, *line.split(" ")) == expected


def test_without_a_server_there_is_soon_an_empty_answer(tmp_path: Path) -> None:
    started = time.monotonic()
    file = tmp_path / "kubeconfig"
    file.write_text('{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x"}}],'
                    '"clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}]}')  # fmt: skip
    assert complete(file, "get", "pods", "") == [":4"]
    assert time.monotonic() - started < SECONDS / 2


class Bash:
    """An interactive one, on a terminal of its own."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        path = f"{Path(MINI_KUBECTL).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "KUBECONFIG": str(kubeconfig), "TERM": "dumb", "PS1": "$ ", "HOME": str(folder)}
        ours, theirs = pty.openpty()
        command = ["bash", "--norc", "--noprofile", "-i"]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True, cwd=folder
        )
        os.close(theirs)
        self._terminal = ours

    def type(self, text: str, expected: str) -> str:
        """What comes until `expected` does."""
        os.write(self._terminal, text.encode())
        seen = ""
        deadline = time.monotonic() + SECONDS
        while not re.search(expected, seen):
            ready, _, _ = select.select([self._terminal], [], [], deadline - time.monotonic())
            assert ready, f"{expected!r} is not in {seen!r}"
            seen += os.read(self._terminal, 4096).decode()
        return seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_tab_key_in_bash(kubeconfig: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_text("")
    bash = Bash(kubeconfig, tmp_path)
    try:
        bash.type("source <(mini-kubectl completion bash); echo read''y\n", r"ready\r\n")
        bash.type("mini-kubectl desc\t", "describe ")
        bash.type("pod\t", "pod(s|templates)?")
        bash.type("\x15mini-kubectl get pods/w\t", "\x07?eb-")
        bash.type("\x15mini-kubectl get pods web-2 --output=y\t", "--output=yaml ")
        bash.type("\x15mini-kubectl logs web-1 -c s\t", "-c side ")
        bash.type("\x15mini-kubectl apply -f mani\t", "manifest.yaml ")
        bash.type("\x15mini-kubectl get pods/web-1 --output jsonpath={.metadata.name}; echo\n", r"\nweb-1")
    finally:
        bash.close()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_of_other_shells_ask_the_same_way(kubeconfig: Path, shell: str) -> None:
    assert "__complete" in CommandLine(kubeconfig, "shop").run("completion", shell)
