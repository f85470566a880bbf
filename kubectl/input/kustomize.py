"""Builds kustomizations with a `kustomize` or a real `kubectl` on PATH: their rules fill a program of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from kubectl.invocation.command import UsageError

PROGRAMS = (("kustomize", "build"), ("kubectl", "kustomize"))
HOW_TO_GET_ONE = (
    "building a kustomization needs `kustomize` or `kubectl` on PATH; "
    "see https://kubectl.docs.kubernetes.io/installation/kustomize/ or https://kubernetes.io/docs/tasks/tools/"
)


def build(folder: str) -> str:
    """The objects of the kustomization, as YAML. Raises: UsageError where it cannot be built."""
    for name, verb in PROGRAMS:
        program = shutil.which(name)
        # mini-kubectl under the name of kubectl would call itself for ever
        if program is None or Path(program).resolve() == Path(sys.argv[0]).resolve():
            continue
        done = subprocess.run([program, verb, folder], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UsageError(done.stderr.strip().removeprefix("error: ").removeprefix("Error: "))
        sys.stderr.write(done.stderr)
        return done.stdout
    raise UsageError(HOW_TO_GET_ONE)
