"""Reads the manifest files of static pods: a folder of them, or a single one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from componentbase import logs
from kubeapi.core.pod.model import Pod
from kubelet.source.manifests import ManifestError, static_pod

MAX_BYTES = 10 * 1024 * 1024  # of a file; larger ones are refused

log = logs.logger(__name__)

Signature = tuple[int, int, int]


@dataclass(slots=True)
class _Manifest:
    """One file as it was read last; `pod` is that of its last good text."""

    signature: Signature
    pod: Pod | None = None


class ManifestFiles:
    """`scan` reads what has changed. A file that has become wrong keeps its pod until it is right again or removed."""

    def __init__(self, path: str, node_name: str, seen: Callable[[], str]) -> None:
        self.path = path
        self._node_name = node_name
        self._seen = seen
        self._manifests: dict[str, _Manifest] = {}

    def pods(self) -> dict[str, Pod]:
        """Returns uid -> pod. Of two with the same name, the one of the first file counts."""
        pods: dict[str, Pod] = {}
        keys: set[str] = set()
        for _, manifest in sorted(self._manifests.items()):
            if manifest.pod is not None and manifest.pod.key not in keys:
                keys.add(manifest.pod.key)
                pods[manifest.pod.metadata.uid or ""] = manifest.pod
        return pods

    def scan(self) -> list[str]:
        """Looks at all files; returns a message about each that has changed and is wrong.

        Raises: OSError when the folder can't be read, which leaves the pods as they are.
        """
        problems = []
        there = dict(self._files())
        self._manifests = {path: manifest for path, manifest in self._manifests.items() if path in there}
        for path, signature in there.items():
            known = self._manifests.get(path)
            if known is None or known.signature != signature:
                manifest = self._manifests[path] = _Manifest(signature, known.pod if known else None)
                try:
                    manifest.pod = self._read(path)
                except (OSError, ManifestError) as error:
                    problems.append(f"Could not process manifest file {path}: {error}")
        return problems

    def _files(self) -> Iterator[tuple[str, Signature]]:
        """Yields the regular files, behind links as well, but not hidden ones."""
        paths = [self.path]
        if os.path.isdir(self.path):
            paths = [os.path.join(self.path, name) for name in os.listdir(self.path) if not name.startswith(".")]
        else:
            os.stat(self.path)
        for path in paths:
            try:
                found = os.stat(path)
            except OSError as error:
                log.warning("manifest file not read", path=path, error=str(error))
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, (found.st_ino, found.st_mtime_ns, found.st_size)

    def _read(self, path: str) -> Pod:
        """Raises: ManifestError; OSError."""
        with open(path, "rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ManifestError(f"file too big, more than {MAX_BYTES} bytes")
        return static_pod(text, path, self._node_name, self._seen())
