"""What the server answers beside objects: Status, watch events, discovery, version. Models for their schemas alone."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from apimachinery.meta import ListMeta
from apimachinery.model import Model, Required


class _Answer(Model):
    kind: str | None = None
    """The kind of the answer, such as Status or APIGroup."""
    apiVersion: str | None = None
    """The version that the answer is written in: v1."""


class StatusCause(Model):
    """One reason why a request failed, usually a field and its error."""

    reason: str | None = None
    """The kind of cause in one word for programs, such as FieldValueInvalid."""
    message: str | None = None
    """A sentence for people about this cause."""
    field: str | None = None
    """The path of the field in the request's body, such as "spec.containers[0].image"."""


class StatusDetails(Model):
    """The object that a Status refers to, and the single causes of a failure."""

    name: str | None = None
    """The name of the object that the request was about."""
    group: str | None = None
    """The API group of that object; absent for the core group."""
    kind: str | None = None
    """The kind of that object, or its plural, depending on the reason."""
    uid: str | None = None
    """The uid of that object, where one was found."""
    causes: list[StatusCause] | None = None
    """Every error in the request."""
    retryAfterSeconds: int | None = None
    """Seconds to wait before the next try."""


class Status(_Answer):
    """The answer to a request that failed, or without an object."""

    metadata: ListMeta = Field(default_factory=ListMeta)
    """Empty, except for a list that expired: then `continue` leads to the rest of it."""
    status: str | None = None
    """Success or Failure."""
    message: str | None = None
    """A description of the result, for people."""
    reason: str | None = None
    """One word for the kind of failure, such as NotFound, AlreadyExists, Conflict or Invalid."""
    details: StatusDetails | None = None
    """Details, which depend on the reason."""
    code: int | None = None
    """The HTTP status code of the answer."""


class WatchEvent(Model):
    """One change that a watch reports."""

    type: str = ""
    """ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""
    object: Annotated[dict[str, Any], Required()] = Field(default_factory=dict)
    """The object after the change, or its last state if it was deleted; metadata.resourceVersion alone for a bookmark;
    a Status for an error."""


class ServerAddressByClientCIDR(Model):
    """The address at which clients of a network reach the server."""

    clientCIDR: str = ""
    """The network that the address is for."""
    serverAddress: str = ""
    """Host and port of the server for clients of that network."""


class APIVersions(_Answer):
    """The versions of the core group."""

    versions: Annotated[list[str], Required()] = Field(default_factory=list)
    """Every version that is served below /api."""
    serverAddressByClientCIDRs: Annotated[list[ServerAddressByClientCIDR], Required()] = Field(default_factory=list)
    """The addresses of the server, by the network of the client."""


class GroupVersionForDiscovery(Model):
    """One version of a group."""

    groupVersion: str = ""
    """Group and version as objects carry them in apiVersion, such as "apps/v1"."""
    version: str = ""
    """The version alone, such as "v1"."""


class APIGroup(_Answer):
    """A group of kinds, and the versions in which it is served."""

    name: str = ""
    """The name of the group, such as "apps"."""
    versions: Annotated[list[GroupVersionForDiscovery], Required()] = Field(default_factory=list)
    """Every version that is served, the preferred one first."""
    preferredVersion: GroupVersionForDiscovery | None = None
    """The version for clients that do not ask for a certain one."""
    serverAddressByClientCIDRs: list[ServerAddressByClientCIDR] | None = None
    """The addresses of the server, by the network of the client; absent if there is only one."""


class APIGroupList(_Answer):
    """All groups except the core group."""

    groups: Annotated[list[APIGroup], Required()] = Field(default_factory=list)
    """The groups in the order in which clients prefer them."""


class APIResource(Model):
    """A resource or subresource with its names and verbs."""

    name: str = ""
    """The plural used in paths, such as "pods"; for a subresource with a slash, such as "pods/log"."""
    singularName: str = ""
    """The singular that people may type; empty for subresources."""
    namespaced: bool = False
    """Whether the objects live in namespaces."""
    group: str | None = None
    """The group of `kind`, if it differs from that of the list."""
    version: str | None = None
    """The version of `kind`, if it differs from that of the list."""
    kind: str = ""
    """The kind of the objects, such as "Pod"."""
    verbs: Annotated[list[str], Required()] = Field(default_factory=list)
    """The supported verbs: create, delete, deletecollection, get, list, patch, update, watch."""
    shortNames: list[str] | None = None
    """Shorter names that people may type, such as "po"."""
    categories: list[str] | None = None
    """Sets of resources that the resource belongs to, such as "all"."""
    storageVersionHash: str | None = None
    """A hash that changes when objects of the kind are stored in another version."""


class APIResourceList(_Answer):
    """The resources of one group and version."""

    groupVersion: str = ""
    """The group and version of the resources, such as "apps/v1"."""
    resources: Annotated[list[APIResource], Required()] = Field(default_factory=list)
    """Each resource, followed by its subresources."""


class Info(Model):
    """The version of the server, and the platform that it runs on."""

    major: str = ""
    """The first number of the version."""
    minor: str = ""
    """The second number of the version."""
    emulationMajor: str | None = None
    """The first number of the version that the server emulates."""
    emulationMinor: str | None = None
    """The second number of the version that the server emulates."""
    minCompatibilityMajor: str | None = None
    """The first number of the oldest version that the server can share a cluster with."""
    minCompatibilityMinor: str | None = None
    """The second number of the oldest version that the server can share a cluster with."""
    gitVersion: str = ""
    """The whole version, such as "v1.35.0"."""
    gitCommit: str = ""
    """The commit that the server was built from, where it is known."""
    gitTreeState: str = ""
    """clean if the sources were as committed, else dirty."""
    buildDate: str = ""
    """The time of the build."""
    goVersion: str = ""
    """The language runtime that executes the server."""
    compiler: str = ""
    """The implementation of that runtime."""
    platform: str = ""
    """Operating system and processor, such as "linux/amd64"."""
