"""What mini-kubectl shows of changes as they come, and what it waits for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import write_kubeconfig
from tests.kits.control_plane.apiserver import ApiServer


@pytest.fixture
def mini(api: ApiServer, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(write_kubeconfig(api, tmp_path_factory.mktemp("watching") / "kubeconfig"), namespace)


@contextmanager
def started(at: CommandLine, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "KUBECONFIG": str(at.kubeconfig)}
    command = [at.program, "-n", at.namespace, *words]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def columns(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_a_watch_shows_each_change(mini: CommandLine) -> None:
    mini.run("create", "configmap", "a")
    with started(mini, "get", "cm", "-w", "-L", "x") as process:
        assert columns(process) == ["NAME", "DATA", "AGE", "X"]
        assert columns(process)[:2] == ["a", "0"]
        mini.run("label", "cm", "a", "x=y")
        assert columns(process)[-1] == "y"


def test_waiting_for_what_a_selector_does_not_find_yet(mini: CommandLine) -> None:
    with started(mini, "wait", "cm", "-l", "x=y", "--for=create", "--timeout=60s", "-o", "name") as process:
        mini.run("create", "configmap", "a")
        mini.run("label", "cm", "a", "x=y")
        assert process.stdout is not None
        assert process.stdout.read() == "configmap/a\n"
        assert process.wait(60) == 0


def test_waiting_for_values(mini: CommandLine) -> None:
    mini.run("create", "configmap", "a", "--from-literal=k=v", "--from-literal=l=v")
    assert mini.run("wait", "cm/a", "--for=jsonpath={.data.k}=v", "--timeout=5s") == "configmap/a condition met\n"
    message = mini.fails("wait", "cm/a", "--for=jsonpath={.data.*}=v", "--timeout=5s")
    assert message == "error: given jsonpath expression matches more than one value\n"
    assert "has to have a value after equal sign" in mini.fails("wait", "cm/a", "--for=jsonpath={.data.k}=")
