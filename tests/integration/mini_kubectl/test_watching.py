"""What mini-kubectl shows of changes as they come, and what it waits for."""

from __future__ import annotations

import json
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
    return process.stdout.readline().split()[:2]


def test_a_watch_says_what_happened(mini: CommandLine) -> None:
    mini.run("create", "configmap", "a")
    with started(mini, "get", "cm", "-w", "--output-watch-events") as process:
        assert [columns(process), columns(process)] == [["EVENT", "NAME"], ["ADDED", "a"]]
        mini.run("label", "cm", "a", "x=y")
        assert columns(process) == ["MODIFIED", "a"]
        mini.run("delete", "cm", "a")
        assert columns(process) == ["DELETED", "a"]


def test_a_watch_as_json_has_an_event_a_line(mini: CommandLine) -> None:
    mini.run("create", "configmap", "a")
    with started(mini, "get", "cm", "-w", "--output-watch-events", "-o", "json") as process:
        assert process.stdout is not None
        event = json.loads(process.stdout.readline())
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")


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
