"""What the server answers beside objects: Status, watch events, discovery, version. Models for their schemas alone."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from apimachinery.meta import ListMeta
from apimachinery.model import Model, Required


class _Answer(Model):
    kind: str | None = None
    """What the answer is, such as Status or APIGroup."""
    apiVersion: str | None = None
    """The version that the answer is written in: v1."""


class StatusCause(Model):
    """One reason why a request failed, mostly a field and what is wrong with it."""

    reason: str | None = None
    """A word for machines: what kind of cause it is, such as FieldValueInvalid."""
    message: str | None = None
    """A sentence for people about this cause."""
    field: str | None = None
    """The path of the field in the request's body, such as "spec.containers[0].image"."""


class StatusDetails(Model):
    """What a Status is about, and the single causes of a failure."""

    name: str | None = None
    """The name of the object that the request was about."""
    group: str | None = None
    """The API group of that object; absent for the core group."""
    kind: str | None = None
    """The kind of that object, or its plural, as the reason has it."""
    uid: str | None = None
    """The uid of that object, where one was found."""
    causes: list[StatusCause] | None = None
    """Every single thing that was wrong with the request."""
    retryAfterSeconds: int | None = None
    """Seconds to wait before the request is worth another try."""


class Status(_Answer):
    """The answer to a request that failed, or that has no object to return."""

    metadata: ListMeta = Field(default_factory=ListMeta)
    """Empty but for a list that expired: `continue` then leads to the rest of it."""
    status: str | None = None
    """Success or Failure."""
    message: str | None = None
    """What happened, for people to read."""
    reason: str | None = None
    """One word for the kind of failure, such as NotFound, AlreadyExists, Conflict or Invalid."""
    details: StatusDetails | None = None
    """More about it, whose members depend on the reason."""
    code: int | None = None
    """The HTTP status code of the answer."""


class WatchEvent(Model):
    """One change that a watch tells of."""

    type: str = ""
    """ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""
    object: Annotated[dict[str, Any], Required()] = Field(default_factory=dict)
    """The object after the change, its last state when it was deleted, its metadata.resourceVersion alone for a
    bookmark, or a Status for an error."""


class ServerAddressByClientCIDR(Model):
    """Where clients of a network reach the server."""

    clientCIDR: str = ""
    """The network that the address is for."""
    serverAddress: str = ""
    """Host and port of the server for clients of that network."""


class APIVersions(_Answer):
    """The versions of the core group."""

    versions: Annotated[list[str], Required()] = Field(default_factory=list)
    """Every version that is served below /api."""
    serverAddressByClientCIDRs: Annotated[list[ServerAddressByClientCIDR], Required()] = Field(default_factory=list)
    """Where the server is reached, by the client's network."""


class GroupVersionForDiscovery(Model):
    """One version of a group."""

    groupVersion: str = ""
    """Group and version as objects carry them in apiVersion, such as "apps/v1"."""
    version: str = ""
    """The version alone, such as "v1"."""


class APIGroup(_Answer):
    """A group of kinds and the versions it is served in."""

    name: str = ""
    """The name of the group, such as "apps"."""
    versions: Annotated[list[GroupVersionForDiscovery], Required()] = Field(default_factory=list)
    """Every version that is served, the preferred one first."""
    preferredVersion: GroupVersionForDiscovery | None = None
    """The version that clients use who have no wish of their own."""
    serverAddressByClientCIDRs: list[ServerAddressByClientCIDR] | None = None
    """Where the server is reached, by the client's network; absent when it is reached at one address."""


class APIGroupList(_Answer):
    """All groups beside the core group."""

    groups: Annotated[list[APIGroup], Required()] = Field(default_factory=list)
    """The groups in the order in which clients prefer them."""


class APIResource(Model):
    """A resource or subresource, and how it may be used."""

    name: str = ""
    """The plural that stands in paths, such as "pods"; with a slash for a subresource, such as "pods/log"."""
    singularName: str = ""
    """The singular that people may type; empty for subresources."""
    namespaced: bool = False
    """Whether its objects live in namespaces."""
    group: str | None = None
    """The group of `kind`, where it is another than the list's."""
    version: str | None = None
    """The version of `kind`, where it is another than the list's."""
    kind: str = ""
    """The kind of its objects, such as "Pod"."""
    verbs: Annotated[list[str], Required()] = Field(default_factory=list)
    """What may be done with it: create, delete, deletecollection, get, list, patch, update, watch."""
    shortNames: list[str] | None = None
    """Shorter names that people may type, such as "po"."""
    categories: list[str] | None = None
    """Sets of resources that it belongs to, such as "all"."""
    storageVersionHash: str | None = None
    """Changes when objects of the kind come to be stored in another version."""


class APIResourceList(_Answer):
    """The resources of one group and version."""

    groupVersion: str = ""
    """The group and version that the resources are of, such as "apps/v1"."""
    resources: Annotated[list[APIResource], Required()] = Field(default_factory=list)
    """Each resource, followed by its subresources."""


class Info(Model):
    """Which Kubernetes this server is, and what it runs on."""

    major: str = ""
    """The first number of the version."""
    minor: str = ""
    """The second number of the version."""
    emulationMajor: str | None = None
    """The first number of the version whose behaviour it shows."""
    emulationMinor: str | None = None
    """The second number of the version whose behaviour it shows."""
    minCompatibilityMajor: str | None = None
    """The first number of the oldest version that it can share a cluster with."""
    minCompatibilityMinor: str | None = None
    """The second number of the oldest version that it can share a cluster with."""
    gitVersion: str = ""
    """The whole version, such as "v1.35.0"."""
    gitCommit: str = ""
    """The commit it was built from, where that is known."""
    gitTreeState: str = ""
    """Whether the sources were as committed: clean or dirty."""
    buildDate: str = ""
    """When it was built."""
    goVersion: str = ""
    """The language runtime that executes it."""
    compiler: str = ""
    """The implementation of that runtime."""
    platform: str = ""
    """Operating system and processor, such as "linux/amd64"."""
