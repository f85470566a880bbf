"""Runs the same command line with mini-kubectl and with the real kubectl, and compares what users see."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from kubectl.cli.main import main
from tests.kits.client.commandline import CommandLine
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.process import TOKEN

_AGE = re.compile(r"(?<![\w=:.#])(?:\d+[dhms]){1,2}(?=[\s)])")
_FROM_NAMESPACE = re.compile(r"(deleted) from \S+ namespace")  # said since kubectl 1.34
_NO_TIME = re.compile(r" *creationTimestamp: null\n")  # written until kubectl 1.33
_ATTEMPTS = 3  # at a comparison: between two runs an age may grow by a digit, which moves columns
_KLOG = re.compile(r"^[EWI]\d{4} .*\n", re.MULTILINE)


def write_kubeconfig(api: ApiServer, file: Path, namespace: str = "default", token: str = TOKEN) -> Path:
    """Of the administrator of a test's API server."""
    cluster = {"server": api.url, "insecure-skip-tls-verify": True}
    context = {"cluster": "test", "user": "admin", "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": context}],
    }
    file.write_text(json.dumps(config))
    return file


def run_in_process(words: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> CompletedProcess[str]:
    """Runs mini-kubectl without its start, which takes longer than most commands."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        patch.setattr(signal, "signal", lambda number, handler: handler)
        try:
            main(list(words))
        except SystemExit as end:
            code = int(end.code or 0)
    stdout, stderr = (bytes(stream.buffer.getvalue()).decode() for stream in (out, err))  # type: ignore[attr-defined]
    return CompletedProcess(words, code, stdout, stderr)


@dataclass(frozen=True)
class InProcess(CommandLine):
    """mini-kubectl in this process."""

    def try_run(self, *words: str, stdin: str = "", timeout: float = 120) -> CompletedProcess[str]:
        return run_in_process(["-n", self.namespace, *words], {"KUBECONFIG": str(self.kubeconfig)}, stdin)


@dataclass(frozen=True)
class Pair:
    """`pair.same("get pods")` fails where output, messages or exit code differ."""

    mini: CommandLine
    real: CommandLine

    def same(self, line: str, *more: str, stdin: str = "") -> CompletedProcess[str]:
        """`more` are words with spaces in them. For commands that may run twice; returns what mini-kubectl did."""
        for _ in range(_ATTEMPTS):
            with ThreadPoolExecutor(2) as pool:
                runs = pool.map(lambda at: at.try_run(*line.split(), *more, stdin=stdin), (self.mini, self.real))
                mini, real = runs
            if seen(mini) == seen(real):
                break
        return compare(line, mini, real)

    def same_after(self, reset: str, line: str, *more: str, stdin: str = "") -> CompletedProcess[str]:
        """For commands that change something: each runs after `reset`, which is done with the real kubectl."""
        self.real.try_run(*reset.split())
        real = self.real.try_run(*line.split(), *more, stdin=stdin)
        self.real.try_run(*reset.split())
        mini = self.mini.try_run(*line.split(), *more, stdin=stdin)
        return compare(line, mini, real)


def compare(line: str, mini: CompletedProcess[str], real: CompletedProcess[str]) -> CompletedProcess[str]:
    difference = "\n".join(unified_diff(_report(real), _report(mini), "kubectl", "mini-kubectl", lineterm="", n=0))
    assert not difference, f"{line}\n{difference}"
    return mini


def _report(done: CompletedProcess[str]) -> list[str]:
    out, err, code = seen(done)
    return [*out, "(standard error)", *err, f"(exit code {code})"]


def seen(done: CompletedProcess[str]) -> tuple[list[str], list[str], int]:
    """Without what differs between two runs, between the programs' names, and between kubectl's releases."""

    def plain(text: str) -> list[str]:
        text = _KLOG.sub("", text.replace("mini-kubectl", "kubectl"))
        text = _NO_TIME.sub("", _FROM_NAMESPACE.sub(r"\1", text))
        return _AGE.sub(lambda age: "A" * len(age[0]), text).splitlines()

    return plain(done.stdout), plain(done.stderr), done.returncode
