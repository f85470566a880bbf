"""Builds container images without an engine: the archive that `docker load` reads, the same bytes each time. Pure."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path in a layer: a file with `data`, else a symbolic link to `link`, else a directory."""

    data: bytes | None = None
    mode: int = 0o644
    link: str = ""
    uid: int = 0
    gid: int = 0


def program(data: bytes) -> Entry:
    return Entry(data, 0o755)


def directory(mode: int = 0o755) -> Entry:
    return Entry(None, mode)


def layer(entries: Mapping[str, Entry | bytes]) -> bytes:
    """Packs an uncompressed layer from absolute path -> entry (bytes: a plain file); parent directories are added."""
    all_entries = {path.strip("/"): Entry(item) if isinstance(item, bytes) else item for path, item in entries.items()}
    for path in list(all_entries):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            all_entries.setdefault("/".join(parts[:depth]), directory())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(all_entries):
            entry = all_entries[path]
            tar.addfile(_tar_info(path, entry), io.BytesIO(entry.data or b""))
    return buffer.getvalue()


def _tar_info(path: str, entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    if entry.data is not None:
        info.size = len(entry.data)
    elif entry.link:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
    else:
        info.type = tarfile.DIRTYPE
    return info


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The command that a container of the image runs by default. `architecture` is Go's word: amd64, arm64."""

    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    env: Mapping[str, str] | None = None
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    labels: Mapping[str, str] | None = None
    architecture: str = "amd64"

    def document(self, diff_ids: Sequence[str]) -> bytes:
        """Encodes the image's configuration, whose SHA-256 is the image's id."""
        run: dict[str, object] = {
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.cmd) or None,
            "Env": [f"{name}={value}" for name, value in (self.env or {}).items()] or None,
            "User": self.user,
            "WorkingDir": self.working_dir,
            "StopSignal": self.stop_signal,
            "Labels": dict(self.labels or {}) or None,
        }
        document = {
            "architecture": self.architecture,
            "os": "linux",
            "created": EPOCH,
            "config": {key: value for key, value in run.items() if value},
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            "history": [{"created": EPOCH} for _ in diff_ids],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def image_archive(tags: Sequence[str], layers: Sequence[bytes], config: ImageConfig) -> bytes:
    """Packs the archive of one image under `tags` ("name:tag"), the lowest layer first."""
    digests = [hashlib.sha256(data).hexdigest() for data in layers]
    document = config.document([f"sha256:{digest}" for digest in digests])
    config_name = f"{hashlib.sha256(document).hexdigest()}.json"
    files = {f"{digest}/layer.tar": data for digest, data in zip(digests, layers, strict=True)}
    manifest = [
        {"Config": config_name, "RepoTags": list(tags), "Layers": [f"{digest}/layer.tar" for digest in digests]}
    ]
    files[config_name] = document
    files["manifest.json"] = json.dumps(manifest, separators=(",", ":")).encode()
    return layer(files)


def image_id(layers: Sequence[bytes], config: ImageConfig) -> str:
    """Computes the id ("sha256:…") that an engine gives the image."""
    diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]
    return f"sha256:{hashlib.sha256(config.document(diff_ids)).hexdigest()}"
