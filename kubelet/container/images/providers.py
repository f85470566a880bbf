"""Asks credential provider plugins for registry credentials, and keeps their answers as long as they say.

A plugin is a program that gets a CredentialProviderRequest on its standard input and writes a
CredentialProviderResponse to its standard output.
Source: Kubernetes documentation, "Configure a kubelet image credential provider".
"""

from __future__ import annotations

import asyncio
import os
from argparse import ArgumentTypeError
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from apimachinery.errors import StatusError
from apimachinery.text.image_reference import Reference
from componentbase import logs
from componentbase.clock import Clock
from componentbase.flags import parse_duration
from componentbase.host.process import CommandError, run
from kubeapi.core.pod.model import Pod
from kubeapi.core.serviceaccount import ServiceAccount
from kubelet.container.images.credentials import Keyring, Source, image_matches, keyring
from kubelet.container.images.provider_config import Plugin
from kubelet.runtime.interface import RegistryAuth

PLUGIN_SECONDS = 60.0
MAX_ANSWERS = 1000  # kept per plugin; the one used longest ago goes first

log = logs.logger(__name__)


class Accounts(Protocol):
    """The pod's service account, for plugins that want to know it."""

    async def account(self, pod: Pod) -> ServiceAccount:
        """Raises: StatusError; OSError."""

    async def account_token(self, pod: Pod, audience: str) -> str:
        """Raises: StatusError; OSError."""


class ProviderError(Exception):
    """The plugin gave no answer that can be used; the message has nothing of the answer, which may hold credentials."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """What a plugin is told of the pod. Answers for pods of one account with the same annotations are shared."""

    source: Source | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    token: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    keyring: Keyring
    expires: float


class CredentialProvider:
    """One plugin."""

    def __init__(self, plugin: Plugin, accounts: Accounts, clock: Clock) -> None:
        self._plugin = plugin
        self._accounts = accounts
        self._clock = clock
        self._answers: OrderedDict[tuple[str, object], _Answer] = OrderedDict()
        self._asking = asyncio.Lock()  # pods that start together ask once

    async def credentials(self, pod: Pod, reference: Reference) -> Keyring:
        """Returns nothing for images that aren't the plugin's, and where it can't answer, which is logged."""
        name = self._plugin.config.name
        if not any(image_matches(pattern, reference) for pattern in self._plugin.config.matchImages):
            return {}
        try:
            identity = await self._identity(pod)
            if identity is None:
                return {}
            async with self._asking:
                remembered = self._remembered(reference, identity)
                return remembered if remembered is not None else await self._ask(reference, identity)
        except (ProviderError, StatusError, OSError) as error:
            log.warning("no credentials of the provider", provider=name, pod=pod.key, error=str(error))
            return {}

    async def _identity(self, pod: Pod) -> _Identity | None:
        """Returns None where the plugin is not for the pod's account. Raises: StatusError; OSError."""
        attributes = self._plugin.config.tokenAttributes
        if attributes is None:
            return _Identity()
        if not pod.spec.serviceAccountName:
            return None if attributes.requireServiceAccount else _Identity()
        account = await self._accounts.account(pod)
        have = account.metadata.annotations or {}
        required = attributes.requiredServiceAccountAnnotationKeys
        optional = attributes.optionalServiceAccountAnnotationKeys
        if not have.keys() >= set(required):
            return None
        annotations = tuple((key, have[key]) for key in sorted({*required, *optional}) if key in have)
        token = await self._accounts.account_token(pod, attributes.serviceAccountTokenAudience)
        source = Source("ServiceAccount", account.metadata.uid or "", pod.namespace, account.name)
        return _Identity(source, annotations, token)

    def _remembered(self, reference: Reference, identity: _Identity) -> Keyring | None:
        for scope in (reference.repository, reference.registry, ""):
            key = (scope, self._sharing(identity))
            answer = self._answers.get(key)
            if answer is not None and answer.expires > self._clock.monotonic():
                self._answers.move_to_end(key)
                return answer.keyring
        return None

    def _sharing(self, identity: _Identity) -> object:
        """Returns what pods that share an answer have in common."""
        attributes = self._plugin.config.tokenAttributes
        if attributes is not None and attributes.cacheType == "Token":
            return identity
        return identity.source, identity.annotations

    async def _ask(self, reference: Reference, identity: _Identity) -> Keyring:
        """Raises: ProviderError."""
        config = self._plugin.config
        request: dict[str, Any] = {
            "apiVersion": config.apiVersion,
            "kind": "CredentialProviderRequest",
            "image": reference.repository,
        }
        if identity.token:
            request |= {"serviceAccountToken": identity.token, "serviceAccountAnnotations": dict(identity.annotations)}
        environment = os.environ | {variable.name: variable.value for variable in config.env}
        text = orjson.dumps(request).decode()
        try:
            output = await run(
                self._plugin.program, *config.args, stdin=text, timeout_seconds=PLUGIN_SECONDS, environment=environment
            )
        except CommandError as error:
            raise ProviderError(f"error execing credential provider plugin for image {reference}: {error}") from None
        scope, auths, seconds = _parse(output, reference, config.apiVersion)
        answer = keyring(auths, identity.source)
        seconds = config.default_cache_seconds if seconds is None else seconds
        if seconds > 0:
            self._answers[scope, self._sharing(identity)] = _Answer(answer, self._clock.monotonic() + seconds)
            if len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        return answer


def _parse(output: str, reference: Reference, version: str) -> tuple[str, dict[str, RegistryAuth], float | None]:
    """Returns (the images that the answer is for, credentials, seconds to keep it). Raises: ProviderError."""
    scopes = {"Image": reference.repository, "Registry": reference.registry, "Global": ""}
    try:
        document: Any = orjson.loads(output)
        have = document.get("apiVersion")
        if have != version or document.get("kind") != "CredentialProviderResponse":
            raise ProviderError(f"its answer is not a CredentialProviderResponse of {version}, but of {have}")
        auths = {
            server: RegistryAuth(entry.get("username", ""), entry.get("password", ""), server=server)
            for server, entry in (document.get("auth") or {}).items()
        }
        duration = document.get("cacheDuration")
        seconds = None if duration is None else parse_duration(duration)
        scope = scopes.get(document.get("cacheKeyType"))
    except (ValueError, AttributeError, TypeError, ArgumentTypeError):
        raise ProviderError("its answer can't be decoded") from None
    if scope is None:
        raise ProviderError("its answer has no valid cacheKeyType")
    return scope, auths, seconds
