"""Models `extenders` of a configuration: programs that are asked over HTTP about pods and nodes.

Source: Kubernetes reference, "kube-scheduler Configuration (v1)", Extender.
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.errors import FieldError, duplicate, invalid, required
from apimachinery.model import Model
from apimachinery.text.durations import parse_duration

DEFAULT_SECONDS = 5.0


class ExtenderTLSConfig(Model):
    """How an extender is spoken to over TLS. Data is PEM in base64, and wins over the file beside it."""

    insecure: bool | None = None
    """True to take any certificate."""
    serverName: str | None = None
    """The name that its certificate must have. Default: that of the URL."""
    certFile: str | None = None
    keyFile: str | None = None
    caFile: str | None = None
    certData: str | None = None
    keyData: str | None = None
    caData: str | None = None


class ExtenderManagedResource(Model):
    """An extended resource that the extender sees to."""

    name: str = ""
    """Such as example.com/gpu."""
    ignoredByScheduler: bool | None = None
    """True if NodeResourcesFit leaves it out."""


class Extender(Model):
    """A program that is asked. What it isn't asked has no verb."""

    urlPrefix: str = ""
    """Where it is; verbs are appended."""
    filterVerb: str | None = None
    """Which of the nodes that the plugins let pass are left."""
    preemptVerb: str | None = None
    """Which of the nodes where pods might be evicted for the pod are left, and which pods are to go there."""
    prioritizeVerb: str | None = None
    """How it rates them, 0 to 10."""
    weight: int | None = None
    """The weight of its rating, above 0."""
    bindVerb: str | None = None
    """Has it bind the pod instead of the plugins; one extender may."""
    enableHTTPS: bool | None = None
    """True with an https URL; without an authority in tlsConfig, any certificate is taken."""
    tlsConfig: ExtenderTLSConfig | None = None
    httpTimeout: str | None = None
    """How long a request may take, such as 30s. Default: 5s."""
    nodeCacheCapable: bool | None = None
    """True if names of nodes are enough for it. Else it gets whole nodes, which are read for each pod."""
    managedResources: list[ExtenderManagedResource] | None = None
    """It is asked about pods that ask for one of these alone. Default: about all pods."""
    ignorable: bool | None = None
    """True if pods are scheduled without it when it fails."""

    @property
    def timeout_seconds(self) -> float:
        return parse_duration(self.httpTimeout) if self.httpTimeout else DEFAULT_SECONDS

    def errors(self, path: str) -> Iterable[FieldError]:
        if not self.urlPrefix.startswith(("http://", "https://")):
            yield required(f"{path}.urlPrefix", "the extender's URL, with http:// or https://")
        if self.prioritizeVerb and (self.weight or 0) <= 0:
            yield invalid(f"{path}.weight", self.weight or 0, "must have a positive weight applied to it")
        try:
            in_time = self.timeout_seconds > 0
        except ValueError:
            in_time = False
        if not in_time:
            yield invalid(f"{path}.httpTimeout", self.httpTimeout, "must be a duration above 0, such as 5s")
        names = [item.name for item in self.managedResources or ()]
        for index, name in enumerate(names):
            where = f"{path}.managedResources[{index}].name"
            if "/" not in name:
                yield invalid(where, name, "must be the name of an extended resource")
            if name in names[:index]:
                yield duplicate(where, name)


def extender_errors(extenders: list[Extender]) -> list[FieldError]:
    errors = [error for index, item in enumerate(extenders) for error in item.errors(f"extenders[{index}]")]
    binders = [index for index, item in enumerate(extenders) if item.bindVerb]
    errors += [
        invalid(f"extenders[{index}].bindVerb", extenders[index].bindVerb, "only one extender can implement bind")
        for index in binders[1:]
    ]
    return errors
