"""Puts images onto nodes, and only what a node lacks: an image is known by its id, which its content makes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apimachinery.text.image_reference import normalize, short_name
from mini_cluster.hosts.engine import Engine


@dataclass(frozen=True)
class Image:
    """An image of an archive or an engine, with its names, such as "web:1.0"."""

    id: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Lack:
    """What a node lacks: images, or (`tags`) only names, by image id, of images that it has."""

    images: bool
    tags: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return self.images or bool(self.tags)


def lack(wanted: Sequence[Image], present: Iterable[Image]) -> Lack:
    """Compares what a node has with what it should have; nothing wanted is an archive that can't be understood."""
    names = {image.id: set(image.names) for image in present}
    if not wanted or any(image.id not in names for image in wanted):
        return Lack(images=True)
    tags = ((image.id, name) for image in wanted for name in image.names if name not in names[image.id])
    return Lack(images=False, tags=tuple(tags))


def archive_images(archive: Path) -> list[Image]:
    """Reads the table of an archive that `docker save` wrote; nothing for another that an engine may understand."""
    try:
        with tarfile.open(archive) as tar:
            file = tar.extractfile("manifest.json")
            entries: Any = json.load(file) if file else []
        return [_image(entry) for entry in entries]
    except (tarfile.TarError, EOFError, KeyError, ValueError, TypeError):
        return []


def _image(entry: Mapping[str, Any]) -> Image:
    """An image's id is the digest of its configuration, and that is its file's name."""
    digest = Path(entry["Config"]).name.removesuffix(".json")
    return Image(f"sha256:{digest}", _names(entry))


def engine_images(engine: Engine) -> list[Image]:
    """Raises: HostEngineError."""
    return [Image(item["Id"], _names(item)) for item in engine.images()]


def _names(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names as engines show them, without Docker's own registry. Raises: ValueError."""
    return tuple(short_name(normalize(name)) for name in item.get("RepoTags") or () if "<none>" not in name)


Sent = Callable[[int, int], None]
"""Told of (bytes that are sent, bytes in all)."""


def bring(engine: Engine, archive: Path, wanted: Sequence[Image], sent: Sent) -> list[str]:
    """Brings the node what it lacks; returns what was done, in the engine's words. Raises: HostEngineError, OSError."""
    missing = lack(wanted, engine_images(engine))
    if missing.images:
        size = archive.stat().st_size
        with archive.open("rb") as file:
            return engine.load(file, lambda count: sent(count, size))
    return name_images(engine, wanted, missing)


def name_images(engine: Engine, wanted: Sequence[Image], missing: Lack) -> list[str]:
    """Gives images that the node has the names that it lacks. Raises: HostEngineError."""
    for image, name in missing.tags:
        engine.tag(image, name)
    named = {name for _, name in missing.tags}
    names = [name for image in wanted for name in image.names or (image.id,)]
    return [f"{'Named' if name in named else 'Present already'}: {name}" for name in names]
