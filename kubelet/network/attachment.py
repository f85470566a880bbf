"""What a sandbox holds of the network: a file for each, so that a killed kubelet's successor can give it back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from componentbase import logs
from componentbase.host.privatefiles import write_private
from kubelet.runtime.configs import Bandwidth, PodRef, PortMapping
from kubelet.runtime.network import NetworkRequest

SUFFIX, RANGES = ".json", "ranges"

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Attachment:
    """`complete` once the sandbox has its addresses; before, it may have a part of them.

    `plugins` and `result` are the list of CNI plugins by which it was made, and what they said. `netns_inode` tells the
    sandbox's namespace from that of a later process with its number.
    """

    request: NetworkRequest
    addresses: tuple[str, ...] = ()
    complete: bool = False
    plugins: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    netns_inode: int = 0

    @property
    def id(self) -> str:
        return self.request.id


class AttachmentFiles:
    """Raises OSError from all methods."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def load(self) -> dict[str, Attachment]:
        """Returns all attachments by the sandboxes' ids.

        A file that a loss of power has cut short is removed: its sandbox has no addresses then, and is replaced.
        """
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        attachments: dict[str, Attachment] = {}
        for path in [os.path.join(self._folder, name) for name in os.listdir(self._folder) if name.endswith(SUFFIX)]:
            try:
                attachment = _read(path)
            except (ValueError, KeyError, TypeError) as error:
                log.warning("what a sandbox holds of the network is not known", file=path, error=str(error))
                os.unlink(path)
            else:
                attachments[attachment.id] = attachment
        return attachments

    def save(self, attachment: Attachment) -> None:
        write_private(Path(self._path(attachment.id)), json.dumps(asdict(attachment)).encode())

    def remove(self, sandbox_id: str) -> None:
        os.unlink(self._path(sandbox_id))

    def ranges(self) -> tuple[str, ...]:
        """Returns the ranges that were kept last."""
        with suppress(FileNotFoundError), open(os.path.join(self._folder, RANGES), encoding="utf-8") as file:
            return tuple(file.read().split())
        return ()

    def keep_ranges(self, cidrs: Sequence[str]) -> None:
        write_private(Path(self._folder, RANGES), " ".join(cidrs).encode())

    def _path(self, sandbox_id: str) -> str:
        return os.path.join(self._folder, f"{sandbox_id}{SUFFIX}")


def _read(path: str) -> Attachment:
    """Raises: OSError; ValueError, KeyError and TypeError for what is not one of ours."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    request = document.pop("request")
    request |= {
        "pod": PodRef(**request["pod"]),
        "ports": tuple(PortMapping(**port) for port in request["ports"]),
        "bandwidth": Bandwidth(**request["bandwidth"]),
    }
    return Attachment(**document | {"request": NetworkRequest(**request), "addresses": tuple(document["addresses"])})
