"""A long session at the command line, by real kubectls of several ages and by mini-kubectl: they show the same.

Each works in a namespace of its own on one API server. Controllers do not run, so that nothing but the session changes
what is there.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.kits.client.kubectlpair import run_in_process, seen, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer

FOLDER = Path(__file__).parent / "operations"
MINI = "mini"
AT_ONCE = 3  # programs
COMMAND_SECONDS = 60
VERSIONS = {version: str(path) for version, path in KUBECTLS.items() if version or len(KUBECTLS) == 1}
NEWEST = list(VERSIONS)[-1] if VERSIONS else ""

_VARYING = [
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "(uid)"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "(time)"),
    (re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \S+"), "(time)"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC"), "(time)"),
    (re.compile(r"(resourceVersion\W+)\d+"), r"\1(revision)"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000"), "(time)"),
    (re.compile(r"/tmp/\S+"), "(file)"),
]
_AGE = re.compile(r"\bAGE\b|(?<!\S)A{2,}(?!\S)")  # an age widens its column as it grows
_COLOUR = re.compile(r"\x1b\[[\d;]*m")  # which old releases write to files, too
_SPACES = re.compile(r" {2,}")

pytestmark = [
    pytest.mark.skipif(not KUBECTLS, reason="kubectl is not on PATH"),
    pytest.mark.timeout(600),
]


@dataclass(frozen=True)
class Operation:
    line: str
    excused: frozenset[str]
    """Programs whose output is not compared."""
    left_out_by: frozenset[str]
    """Programs that do not have the verb; what it changes, nothing else in the session looks at."""


def operations() -> Iterator[Operation]:
    for text in (FOLDER / "session").read_text().splitlines():
        line, _, remark = text.partition(" # ")
        if line and not line.startswith("#"):
            word, *names = remark.partition(":")[0].split() or [""]
            programs = frozenset(names)
            yield Operation(
                line, programs if word == "but" else frozenset(), programs if word == "not" else frozenset()
            )


OPERATIONS = list(operations())


def session(name: str, program: str, kubeconfig: Path, home: Path, namespace: str) -> list[list[str]]:
    """The output of each operation, without what differs from run to run; empty where the program leaves it out."""
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "HOME": str(home),
        "KUBE_EDITOR": "sed -i s/hello/edited/",
    }
    outputs: list[list[str]] = []
    for operation in OPERATIONS:
        if name in operation.left_out_by:
            outputs.append([])
            continue
        words = shlex.split(operation.line)
        if name == MINI:
            done = run_in_process(words, environment)
        else:
            done = subprocess.run(
                [program, *words],
                cwd=FOLDER,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        done.stdout = _COLOUR.sub("", done.stdout)
        out, err, code = seen(done)
        lines = [*out, "(standard error)", *err, f"(exit code {code})"]
        outputs.append(owners_in_order([masked(line.replace(namespace, "NAMESPACE")) for line in lines]))
    return outputs


def owners_in_order(lines: list[str]) -> list[str]:
    """The same lines with the entries of `managedFields` sorted: the server orders them by time, to the second."""
    start = next((number for number, line in enumerate(lines, 1) if line.strip() == "managedFields:"), 0)
    if not start:
        return lines
    indent = len(lines[start]) - len(lines[start].lstrip())
    end = start
    entries: list[list[str]] = []
    while lines[end].startswith(" " * indent) and (lines[end][indent] in "- "):
        if lines[end][indent] == "-":
            entries.append([])
        entries[-1].append(lines[end])
        end += 1
    return [*lines[:start], *(line for entry in sorted(entries) for line in entry), *lines[end:]]


def masked(line: str) -> str:
    for pattern, instead in _VARYING:
        line = pattern.sub(instead, line)
    line = re.sub("A{2,}", "AA", line)
    return _SPACES.sub("  ", line) if _AGE.search(line) else line


@pytest.fixture(scope="module")
def sessions(
    api: ApiServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, list[list[str]]]:
    """By program, of the programs that this run of the tests needs."""
    parameters = {item.callspec.params.get("program") for item in request.session.items if hasattr(item, "callspec")}
    programs = {name: path for name, path in {**VERSIONS, MINI: ""}.items() if name in {*parameters, NEWEST}}
    folder = tmp_path_factory.mktemp("operations")

    def run(item: tuple[int, tuple[str, str]]) -> tuple[str, list[list[str]]]:
        number, (name, program) = item
        namespace = f"operations-{number:02}"  # of one length, as tables show it
        api.make_namespace(namespace)
        home = folder / namespace
        home.mkdir()
        kubeconfig = write_kubeconfig(api, home / "kubeconfig", namespace)
        return name, session(name, program, kubeconfig, home, namespace)

    cluster = {"KUBECONFIG": str(write_kubeconfig(api, folder / "kubeconfig", "default")), "HOME": str(folder)}
    assert run_in_process(["create", "-f", str(FOLDER / "cluster.yaml")], cluster).returncode == 0
    numbered = list(enumerate(programs.items()))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outputs = dict(pool.map(run, [item for item in numbered if item[1][0] != MINI]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FOLDER)
        return {**outputs, **dict(run(item) for item in numbered if item[1][0] == MINI)}  # in this process


def test_there_is_much_to_compare() -> None:
    assert len(OPERATIONS) >= 150


@pytest.mark.parametrize("program", [*list(VERSIONS)[:-1], MINI])
def test_the_same_is_shown(sessions: dict[str, list[list[str]]], program: str) -> None:
    differences = []
    for operation, expected, output in zip(OPERATIONS, sessions[NEWEST], sessions[program], strict=True):
        apart = operation.excused | operation.left_out_by
        if expected != output and not apart & {program, NEWEST}:
            difference = unified_diff(expected, output, NEWEST, program, lineterm="", n=0)
            differences.append("\n".join([f"$ kubectl {operation.line}", *difference]))
    assert not differences, "\n\n".join([f"{len(differences)} operations differ", *differences])
