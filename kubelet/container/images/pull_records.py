"""Remembers on disk with which credentials images were pulled, so that a pod without these can't run what is private.

An intent is written before a pull and goes after it; a record says for an image's id, by repository, who may use it.
Both are files in the form of upstream's, so that one kubelet goes on where the other was.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson

from apimachinery.text.image_reference import Reference, normalize
from apimachinery.times import format_time
from componentbase import logs
from componentbase.clock import Clock
from componentbase.host.privatefiles import write_private
from kubelet.container.images.credentials import Credential, Source
from kubelet.container.images.options import (
    ALWAYS_VERIFY,
    NEVER_VERIFY,
    NEVER_VERIFY_ALLOWLISTED,
    ImageOptions,
)
from kubelet.runtime.interface import ImageInfo

API_VERSION = "kubelet.config.k8s.io/v1beta1"
MAX_SECRETS = 100  # added to a record by pods that only use the image: namespaces may come and go

log = logs.logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """The pods that may use one repository's image: all of the node, or those with one of these sources."""

    every_pod: bool = False
    secrets: tuple[tuple[Source, str], ...] = ()  # with the credential's hash
    accounts: tuple[Source, ...] = ()

    def allows(self, credentials: Iterable[Credential]) -> Credential | None:
        """Returns the credential that opens the image; the same secret with other content does, too."""
        for credential in credentials:
            source, hash = credential.source, credential.hash
            if source is not None and (
                source in self.accounts or any(hash == known or source == one for one, known in self.secrets)
            ):
                return credential
        return None

    def with_credential(self, credential: Credential | None) -> Access:
        """Returns the access after a pull with the credential; None, or the node's own, opens it to every pod."""
        if self.every_pod or credential is None or credential.source is None:
            return Access(every_pod=True)
        source = credential.source
        if source.kind == "ServiceAccount":
            return self if source in self.accounts else replace(self, accounts=(*self.accounts, source))
        others = tuple(entry for entry in self.secrets if entry[0] != source)
        return replace(self, secrets=(*others, (source, credential.hash)))


def must_verify(options: ImageOptions, reference: Reference, pulled_by_kubelet: bool) -> bool:
    """Tells whether a pod needs credentials for an image that is here already."""
    policy = options.image_pull_credentials_verification_policy
    if policy == NEVER_VERIFY_ALLOWLISTED:
        return not any(
            reference.repository.startswith(pattern[:-1]) if pattern.endswith("/*") else reference.repository == pattern
            for pattern in options.preloaded_images_verification_allowlist
        )
    return policy == ALWAYS_VERIFY or (policy != NEVER_VERIFY and pulled_by_kubelet)


class PullRecords:
    """The records below `root_dir`, all of them in memory as well: one for each image that was pulled."""

    def __init__(self, root_dir: str, options: ImageOptions, clock: Clock) -> None:
        """Reads what an earlier kubelet wrote. Raises: OSError."""
        folder = Path(root_dir, "image_manager")
        self._pulling_folder, self._pulled_folder = folder / "pulling", folder / "pulled"
        self._options = options
        self._clock = clock
        intents, _ = _read(self._pulling_folder, _intent)
        self._intents = Counter(normalize(image) for image, _ in intents)
        records, self._unreadable = _read(self._pulled_folder, _record)
        self._records: dict[str, dict[str, Access]] = dict(records)  # image id -> repository -> access

    def begin(self, image: str) -> None:
        """Notes that the image is about to be pulled. Raises: OSError."""
        document = {"kind": "ImagePullIntent", "apiVersion": API_VERSION, "image": image}
        write_private(_file(self._pulling_folder, image), orjson.dumps(document))
        self._intents[normalize(image)] += 1

    def end(self, image: str, *, succeeded: bool = False) -> None:
        """Notes that a pull is over; once one has succeeded, its record serves for all. Raises: OSError."""
        name = normalize(image)
        self._intents[name] -= 1
        if self._intents[name] <= 0 or succeeded:
            _file(self._pulling_folder, image).unlink(missing_ok=True)
            del self._intents[name]

    def pulled(self, reference: Reference, image: ImageInfo, credential: Credential | None) -> None:
        """Notes with which credential the image was pulled. Raises: OSError."""
        records = self._records.setdefault(image.id, {})
        access = records.get(reference.repository, Access()).with_credential(credential)
        if records.get(reference.repository) != access:
            records[reference.repository] = access
            self._write(image.id)
            self._unreadable.discard(_file(self._pulled_folder, image.id))

    def needs_credentials(self, reference: Reference, image: ImageInfo) -> bool:
        """Tells whether it depends on a pod's credentials if it may use the image that is here."""
        record = self._records.get(image.id)
        names = (str(reference), *image.tags, *image.digests)
        pulled = record is not None or any(name in self._intents for name in names)
        pulled = pulled or _file(self._pulled_folder, image.id) in self._unreadable
        if not must_verify(self._options, reference, pulled):
            return False
        return not (record or {}).get(reference.repository, Access()).every_pod

    def allows(self, reference: Reference, image: ImageInfo, credentials: Sequence[Credential]) -> bool:
        """Tells whether a pod with these credentials may use the image, and remembers a secret that has changed.

        Raises: OSError.
        """
        access = self._records.get(image.id, {}).get(reference.repository, Access())
        credential = access.allows(credentials)
        if credential is None:
            return False
        if len(access.secrets) < MAX_SECRETS:
            self.pulled(reference, image, credential)
        return True

    def images(self) -> set[str]:
        """Returns the ids of the images that were pulled."""
        return set(self._records)

    def prune(self, images: Collection[str]) -> None:
        """Forgets images that are gone. Raises: OSError."""
        for image in images:
            _file(self._pulled_folder, image).unlink(missing_ok=True)
            self._records.pop(image, None)

    def _write(self, image: str) -> None:
        document = {
            "kind": "ImagePulledRecord",
            "apiVersion": API_VERSION,
            "lastUpdatedTime": format_time(self._clock.now()),
            "imageRef": image,
            "credentialMapping": {name: _document(access) for name, access in self._records[image].items()},
        }
        write_private(_file(self._pulled_folder, image), orjson.dumps(document))


def _file(folder: Path, name: str) -> Path:
    return folder / f"sha256-{hashlib.sha256(name.encode()).hexdigest()}"


def _read(folder: Path, parse: Callable[[Any], tuple[str, T]]) -> tuple[list[tuple[str, T]], set[Path]]:
    """Returns what the files say, and the files that can't be read. Raises: OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    entries, unreadable = [], set()
    for file in folder.glob("sha256-*"):
        try:
            name, value = parse(orjson.loads(file.read_bytes()))
            if file != _file(folder, name):
                raise ValueError(f"is about {name}")
            entries.append((name, value))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("record of an image pull not read", file=str(file), error=str(error))
            unreadable.add(file)
    return entries, unreadable


def _intent(document: Any) -> tuple[str, None]:
    normalize(document["image"])
    return document["image"], None


def _record(document: Any) -> tuple[str, dict[str, Access]]:
    mapping = document.get("credentialMapping") or {}
    return document["imageRef"], {name: _access(entry) for name, entry in mapping.items()}


def _access(entry: dict[str, Any]) -> Access:
    secrets = entry.get("kubernetesSecrets") or ()
    accounts = entry.get("kubernetesServiceAccounts") or ()
    return Access(
        bool(entry.get("nodePodsAccessible")),
        tuple((_source("Secret", item), str(item.get("credentialHash"))) for item in secrets),
        tuple(_source("ServiceAccount", item) for item in accounts),
    )


def _document(access: Access) -> dict[str, Any]:
    if access.every_pod:
        return {"nodePodsAccessible": True}
    document: dict[str, Any] = {}
    if access.secrets:
        document["kubernetesSecrets"] = [
            {**_coordinates(source), "credentialHash": hash} for source, hash in access.secrets
        ]
    if access.accounts:
        document["kubernetesServiceAccounts"] = [_coordinates(source) for source in access.accounts]
    return document


def _coordinates(source: Source) -> dict[str, str]:
    return {"uid": source.uid, "namespace": source.namespace, "name": source.name}


def _source(kind: Literal["Secret", "ServiceAccount"], item: dict[str, Any]) -> Source:
    return Source(kind, item["uid"], item["namespace"], item["name"])
