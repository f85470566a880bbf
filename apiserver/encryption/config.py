"""EncryptionConfiguration: which resources are encrypted, with which providers and secrets.

Source: Kubernetes documentation, "kube-apiserver Configuration (v1)", EncryptionConfiguration; the errors have the
original's words.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apimachinery.errors import FieldError, forbidden, invalid, required
from apimachinery.model import Model
from apiserver.encryption.ciphers import CIPHERS
from apiserver.encryption.providers import Identity, KeyedProvider, Provider, ProviderList
from apiserver.storage.transform import ValueTransformer
from componentbase.configfile import ConfigFileError, decode_config, read_file, require_valid

KIND = "EncryptionConfiguration"
ANY = "*"
WITHOUT_API = ("apiserveripinfo", "servicenodeportallocations", "serviceipallocations")
OVERLAP = (
    "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be "
    "masked"
)

GroupResource = tuple[str, str]
"""(group, plural), each perhaps "*"."""


class Key(Model):
    """A secret and its name."""

    name: str = ""
    """Stands in front of each value that is encrypted with the secret."""
    secret: str = ""
    """The secret in base64: 32 bytes, or 16 or 24 for aesgcm and aescbc."""


class Keys(Model):
    """The secrets of a provider."""

    keys: list[Key] | None = None
    """The first one encrypts; all decrypt."""


class IdentityConfiguration(Model):
    """No encryption."""


class ProviderConfiguration(Model, protobuf="aesgcm* aescbc* secretbox* identity* kms*"):
    """Exactly one provider."""

    aesgcm: Keys | None = None
    """AES-GCM. Its secret has to be replaced after some 200,000 writes."""
    aescbc: Keys | None = None
    """AES-CBC, for stores that were written with it."""
    secretbox: Keys | None = None
    """XSalsa20 and Poly1305."""
    identity: IdentityConfiguration | None = None
    """Values as they are."""
    kms: dict[str, Any] | None = None
    """A plugin on a socket; not supported."""


class ResourceConfiguration(Model):
    """Some resources and their providers."""

    resources: list[str] | None = None
    """ "secrets", "deployments.apps", "*.apps", "*." for the core group, "*.*"."""
    providers: list[ProviderConfiguration] | None = None
    """The first one writes, all read."""


class EncryptionConfiguration(Model):
    """Encryption at rest, by resource."""

    resources: list[ResourceConfiguration] | None = None
    """Earlier entries go before later ones."""


KINDS = {("apiserver.config.k8s.io/v1", KIND): EncryptionConfiguration}


class Encryption:
    """Finds the transformer of each resource."""

    def __init__(self, transformers: Mapping[GroupResource, ValueTransformer]) -> None:
        self._transformers = transformers

    def transformers(self, resources: Iterable[GroupResource]) -> dict[GroupResource, ValueTransformer]:
        """Returns those of the given resources that are listed; the narrowest entry counts."""
        found = {resource: self.transformer(resource) for resource in resources}
        return {resource: transformer for resource, transformer in found.items() if transformer is not None}

    def transformer(self, resource: GroupResource) -> ValueTransformer | None:
        """Returns that of one resource, None if it isn't listed."""
        candidates = (resource, (resource[0], ANY), (ANY, ANY))
        return next((self._transformers[item] for item in candidates if item in self._transformers), None)


def load_encryption(file: str) -> Encryption:
    """Reads the file of `--encryption-provider-config`. Raises: ConfigFileError."""
    return parse_encryption(read_file(file))


def parse_encryption(document: Any) -> Encryption:
    """Raises: ConfigFileError."""
    config = decode_config(document, KINDS)
    require_valid(KIND, _errors(config))
    providers: dict[GroupResource, list[Provider]] = {}
    for entry in config.resources or ():
        chain = [_provider(item) for item in entry.providers or ()]
        for text in entry.resources or ():
            _check_not_masked(text, providers)
            providers.setdefault(_parse(text), []).extend(chain)
    return Encryption({resource: ProviderList(chain) for resource, chain in providers.items()})


def _parse(text: str) -> GroupResource:
    """ "deployments.apps" -> ("apps", "deployments"), "secrets" -> ("", "secrets"), "*." -> ("", "*")."""
    plural, _, group = text.partition(".")
    return group, plural


def _check_not_masked(text: str, earlier: Mapping[GroupResource, Any]) -> None:
    """Raises: ConfigFileError."""
    group, _ = _parse(text)
    for rule in ((group, ANY), (ANY, ANY)):
        if rule in earlier:
            raise ConfigFileError(f'resource "{text}" is masked by earlier rule "{rule[1]}.{rule[0]}"')


def _provider(config: ProviderConfiguration) -> Provider:
    for name, kind in CIPHERS.items():
        keys: Keys | None = getattr(config, name)
        if keys is not None:
            ciphers = [(key.name, kind.make(base64.b64decode(key.secret))) for key in keys.keys or ()]
            return KeyedProvider(name, kind.title, ciphers)
    return Identity()


def _errors(config: EncryptionConfiguration) -> list[FieldError]:
    if not config.resources:
        return [required("resources", "at least one resources is required")]
    errors: list[FieldError] = []
    for index, entry in enumerate(config.resources):
        resources, providers = f"resources[{index}].resources", f"resources[{index}].providers"
        if not entry.resources:
            errors.append(required(resources, f"at least one {resources} is required"))
        errors += _list_errors(resources, entry.resources or ())
        for number, text in enumerate(entry.resources or ()):
            if why := _resource_error(text):
                errors.append(invalid(f"{resources}[{number}]", text, why))
        if not entry.providers:
            errors.append(required(providers, f"at least one {providers} is required"))
        for number, provider in enumerate(entry.providers or ()):
            errors += _provider_errors(f"{providers}[{number}]", provider)
    return errors


def _list_errors(path: str, texts: Sequence[str]) -> list[FieldError]:
    """The errors of resources that stand in one list: one twice, or one that a wildcard includes."""
    parsed = [_parse(text) for text in texts]
    errors = []
    if len(set(parsed)) < len(parsed):
        errors.append(invalid(path, list(texts), "the same resource cannot be specified multiple times"))
    distinct = set(parsed)
    wide = {group for group, plural in distinct if plural == ANY}
    narrow = [group for group, plural in distinct if plural != ANY]
    if (ANY in wide and len(distinct) > 1) or wide & set(narrow):
        errors.append(invalid(path, list(texts), OVERLAP))
    return errors


def _resource_error(text: str) -> str:
    """Returns what is wrong with the name of a resource; "" if nothing is."""
    group, plural = _parse(text)
    if text != text.lower():
        return "resource name should not contain capital letters"
    if text == ANY:
        return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
    if text in WITHOUT_API:
        return "resources which do not have REST API/s cannot be encrypted"
    if group == "events.k8s.io":
        return (
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the "
            "config file"
        )
    if group == "extensions":
        return "'extensions' group has been removed and cannot be used for encryption"
    if group == ANY and plural != ANY:
        return "encrypting the same resource across groups is not supported"
    return ""


def _provider_errors(path: str, config: ProviderConfiguration) -> list[FieldError]:
    names = config.present()
    if not names:
        expected = "KMS, AESGCM, AESCBC, Secretbox, Identity"
        return [invalid(path, {}, f"provider does not contain any of the expected providers: {expected}")]
    if len(names) > 1:
        why = "more than one provider specified in a single element, should split into different list elements"
        return [invalid(path, names, why)]
    if config.kms is not None:
        return [forbidden(f"{path}.kms", "KMS plugins are not supported by this server")]
    keys: Keys | None = getattr(config, names[0]) if names[0] in CIPHERS else None
    return [] if keys is None else _keys_errors(f"{path}.{names[0]}.keys", keys, CIPHERS[names[0]].secret_sizes)


def _keys_errors(path: str, config: Keys, sizes: tuple[int, ...]) -> list[FieldError]:
    if not config.keys:
        return [required(path, "at least one keys is required")]
    errors: list[FieldError] = []
    for index, key in enumerate(config.keys):
        name, secret = f"{path}[{index}].name", f"{path}[{index}].secret"
        if not key.name:
            errors.append(required(name, "name is a mandatory field for a key"))
        if why := _secret_error(key.secret, sizes):
            errors.append(invalid(secret, "REDACTED", why) if key.secret else required(secret, why))
    return errors


def _secret_error(text: str, sizes: tuple[int, ...]) -> str:
    """Returns what is wrong with a secret; "" if nothing is."""
    if not text:
        return "secret is a mandatory field for a key"
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "secrets must be base64 encoded"
    if len(secret) not in sizes:
        expected = " ".join(map(str, sizes))
        return f"secret is not of the expected length, got {len(secret)}, expected one of [{expected}]"
    return ""
