"""Image names: what users write, and the one full form that runtimes, registries and comparisons use. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
MAX_NAME_LENGTH = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"\w[\w.-]{0,127}\Z", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}\Z")
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?\Z")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """ "nginx" -> registry "docker.io", path "library/nginx", tag "latest". `tag` is "" for a bare digest."""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse_reference(image: str) -> Reference:
    """The full form of an image name; without tag and digest the tag is "latest".

    Raises: ValueError with upstream's words.
    Source: the grammar of distribution's image references, and the Docker Hub shorthands.
    """
    name, at, digest = image.partition("@")
    if at and not _DIGEST.match(digest):
        raise ValueError("invalid reference format")
    tag = ""
    if ":" in name.rpartition("/")[2]:
        name, _, tag = name.rpartition(":")
        if not _TAG.match(tag):
            raise ValueError("invalid reference format")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        registry, path = first, rest
    else:
        registry, path = DEFAULT_REGISTRY, name
    if registry == "index.docker.io":
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    _check(registry, path, image)
    return Reference(registry, path, tag or ("" if digest else DEFAULT_TAG), digest)


def _check(registry: str, path: str, image: str) -> None:
    if _IMAGE_ID.match(image):
        raise ValueError("invalid repository name, cannot specify 64-byte hexadecimal strings")
    if path != path.lower():
        raise ValueError("invalid reference format: repository name must be lowercase")
    if not _DOMAIN.match(registry) or not _PATH.match(path):
        raise ValueError("invalid reference format")
    if len(path) > MAX_NAME_LENGTH:
        raise ValueError(f"repository name must not be more than {MAX_NAME_LENGTH} characters")


def normalize(image: str) -> str:
    """ "nginx" -> "docker.io/library/nginx:latest"; an image id ("sha256:…") stays. Raises: ValueError."""
    return image if image.startswith("sha256:") else str(parse_reference(image))


def short_name(reference: str) -> str:
    """The way Docker itself lists an image: "docker.io/library/nginx:1" -> "nginx:1"."""
    for prefix in (f"{DEFAULT_REGISTRY}/library/", f"{DEFAULT_REGISTRY}/"):
        if reference.startswith(prefix):
            return reference.removeprefix(prefix)
    return reference
