"""The kubelet's configuration of credential provider plugins: which program is asked about which images."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apimachinery.text.yaml import YamlError, read_document
from componentbase.flags import parse_duration

PROTOCOL = "credentialprovider.kubelet.k8s.io/v1"
Protocol = Literal[
    "credentialprovider.kubelet.k8s.io/v1",
    "credentialprovider.kubelet.k8s.io/v1beta1",
    "credentialprovider.kubelet.k8s.io/v1alpha1",
]
CONFIG_VERSIONS = tuple(f"kubelet.config.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))
SUFFIXES = (".json", ".yaml", ".yml")


class ProviderConfigError(Exception):
    """The configuration can't be used; the message names the file and the field."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ExecEnvVar(_Strict):
    name: str
    value: str


class TokenAttributes(_Strict):
    """Has the plugin get a token of the pod's service account, and annotations of that account."""

    serviceAccountTokenAudience: str = Field(min_length=1)
    cacheType: Literal["ServiceAccount", "Token"]
    requireServiceAccount: bool
    requiredServiceAccountAnnotationKeys: list[str] = Field(default_factory=list)
    optionalServiceAccountAnnotationKeys: list[str] = Field(default_factory=list)


class CredentialProvider(_Strict):
    name: str = Field(min_length=1)
    matchImages: list[str] = Field(min_length=1)
    defaultCacheDuration: str
    apiVersion: Protocol
    args: list[str] = Field(default_factory=list)
    env: list[ExecEnvVar] = Field(default_factory=list)
    tokenAttributes: TokenAttributes | None = None

    @property
    def default_cache_seconds(self) -> float:
        return parse_duration(self.defaultCacheDuration)


class _Config(_Strict):
    apiVersion: str
    kind: Literal["CredentialProviderConfig"]
    providers: list[CredentialProvider] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A provider, and its program."""

    config: CredentialProvider
    program: str


def read_plugins(path: str, programs: str) -> list[Plugin]:
    """Reads the file, or all files of the folder in the order of their names. Raises: ProviderConfigError."""
    try:
        files = _files(Path(path))
        if not Path(programs).is_dir():
            raise ProviderConfigError(f"plugin binary directory {programs} did not exist")
        providers = [provider for file in files for provider in _read(file).providers]
    except OSError as error:
        raise ProviderConfigError(f"{error.filename}: {error.strerror}") from None
    names: set[str] = set()
    for provider in providers:
        if provider.name in names:
            raise ProviderConfigError(f"{path}: duplicate provider name {provider.name!r}")
        names.add(provider.name)
        _check(path, provider)
        program = Path(programs, provider.name)
        if not (program.is_file() and program.stat().st_mode & 0o111):
            raise ProviderConfigError(f"plugin binary executable {program} did not exist")
    return [Plugin(provider, f"{programs}/{provider.name}") for provider in providers]


def _files(path: Path) -> list[Path]:
    """Raises: OSError, ProviderConfigError."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise ProviderConfigError(f"no configuration files found in directory {path}")
    return files


def _read(file: Path) -> _Config:
    """Raises: OSError, ProviderConfigError."""
    try:
        document = read_document(file.read_bytes())
        if document.repeated_keys:
            raise ProviderConfigError(f"{file}: {document.repeated_keys[0]}")
        config = _Config.model_validate(document.value)
    except (YamlError, ValidationError) as error:
        raise ProviderConfigError(f"{file}: {_wording(error)}") from None
    if config.apiVersion not in CONFIG_VERSIONS:
        raise ProviderConfigError(
            f"{file}: apiVersion {config.apiVersion!r} is not one of {', '.join(CONFIG_VERSIONS)}"
        )
    return config


def _wording(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first: Any = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _check(path: str, provider: CredentialProvider) -> None:
    """Raises: ProviderConfigError."""
    where = f"{path}: provider {provider.name!r}"
    if "/" in provider.name or " " in provider.name or provider.name in (".", ".."):
        raise ProviderConfigError(f"{where}: a name without '/' and spaces is wanted")
    try:
        seconds = provider.default_cache_seconds
    except ArgumentTypeError as error:
        raise ProviderConfigError(f"{where}: defaultCacheDuration: {error}") from None
    if seconds < 0:
        raise ProviderConfigError(f"{where}: defaultCacheDuration must be greater than or equal to 0")
    attributes = provider.tokenAttributes
    if attributes is None:
        return
    if provider.apiVersion != PROTOCOL:
        raise ProviderConfigError(f"{where}: tokenAttributes is only supported for {PROTOCOL}")
    required = attributes.requiredServiceAccountAnnotationKeys
    optional = attributes.optionalServiceAccountAnnotationKeys
    if required and not attributes.requireServiceAccount:
        raise ProviderConfigError(
            f"{where}: requireServiceAccount cannot be false when requiredServiceAccountAnnotationKeys is set"
        )
    for key in (*required, *optional):
        if [*required, *optional].count(key) > 1:
            raise ProviderConfigError(f"{where}: annotation key {key!r} is named twice")
