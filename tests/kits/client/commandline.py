"""Runs mini-kubectl or the real kubectl against a cluster, and waits for what follows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

MINI_KUBECTL = str(Path(sys.executable).parent / "mini-kubectl")

T = TypeVar("T")


@dataclass(frozen=True)
class CommandLine:
    """`run("get", "pods")` gives what was printed and fails the test where the command fails."""

    kubeconfig: Path
    namespace: str
    program: str = MINI_KUBECTL

    def try_run(self, *words: str, stdin: str = "", timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, "-n", self.namespace, *words],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def run(self, *words: str, stdin: str = "", timeout: float = 120) -> str:
        done = self.try_run(*words, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def fails(self, *words: str, stdin: str = "") -> str:
        """What it says on standard error; its exit code must be 1 and nothing else may be printed."""
        done = self.try_run(*words, stdin=stdin)
        assert (done.returncode, done.stdout) == (1, ""), f"{' '.join(words)}: {done}"
        return done.stderr

    def get(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("get", *words, "-o", "json"))
        return found

    def items(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(*words)["items"]
        return found

    def apply(self, *objects: dict[str, Any]) -> str:
        return self.run("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))
