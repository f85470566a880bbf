"""Environment variables of a container and where their values come from."""

from __future__ import annotations

from typing import Annotated

from apimachinery.model import OMIT_EMPTY, Model, Required
from apimachinery.quantity import Quantity


class ObjectFieldSelector(Model, protobuf="apiVersion fieldPath"):
    """Names a field of the pod itself."""

    map_type = "atomic"

    apiVersion: str = "v1"
    """The API version of the path. Default: v1."""
    fieldPath: str = ""
    """The path of the field, such as metadata.name, metadata.labels['app'] or status.podIP."""


class ResourceFieldSelector(Model, protobuf="containerName resource divisor"):
    """Names a request or limit of a container."""

    map_type = "atomic"

    containerName: str | None = None
    """The name of the container. Required in volumes; in the environment of a container it defaults to that
    container."""
    resource: str = ""
    """The resource, such as limits.cpu or requests.memory."""
    divisor: Quantity = "0"
    """The unit of the value, such as 1m or 1Mi. Default: 1."""


class ConfigMapKeySelector(Model, protobuf="(name) key optional*"):
    """One key of a ConfigMap in the pod's namespace."""

    map_type = "atomic"

    name: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The ConfigMap that has the key."""
    key: str = ""
    """The key whose value is used."""
    optional: bool | None = None
    """Whether the ConfigMap or the key may be missing. Default: false; the container then waits for it."""


class SecretKeySelector(Model, protobuf="(name) key optional*"):
    """One key of a Secret in the pod's namespace."""

    map_type = "atomic"

    name: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The Secret that has the key."""
    key: str = ""
    """The key whose decoded value is used."""
    optional: bool | None = None
    """Whether the Secret or the key may be missing. Default: false; the container then waits for it."""


class FileKeySelector(Model, protobuf="volumeName path key optional*"):
    """One variable of a file of NAME=VALUE lines on a volume."""

    map_type = "atomic"

    volumeName: str = ""
    """The volume that the file is on."""
    path: str = ""
    """The file's path on the volume, relative and without ".."."""
    key: str = ""
    """The variable whose value is used."""
    optional: bool | None = False
    """Whether the file or the variable may be missing. Default: false; the container then does not start without it."""


class EnvVarSource(Model, protobuf="fieldRef resourceFieldRef configMapKeyRef secretKeyRef fileKeyRef"):
    """The source of the value of a variable: exactly one of these."""

    fieldRef: ObjectFieldSelector | None = None
    """A field of the pod, such as its name or address."""
    resourceFieldRef: ResourceFieldSelector | None = None
    """A request or limit of the container."""
    configMapKeyRef: ConfigMapKeySelector | None = None
    """A key of a ConfigMap."""
    secretKeyRef: SecretKeySelector | None = None
    """A key of a Secret."""
    fileKeyRef: FileKeySelector | None = None
    """A variable from a file that an init container wrote."""


class EnvVar(Model, protobuf="name value valueFrom"):
    """An environment variable of a container."""

    name: str = ""
    """The variable's name: printable ASCII without "="."""
    value: str | None = None
    """The text of the variable. $(NAME) stands for a variable defined before it, $$ for a dollar. Default: empty."""
    valueFrom: EnvVarSource | None = None
    """The source of the value, in place of `value`."""


class ConfigMapEnvSource(Model, protobuf="(name) optional*"):
    """All keys of a ConfigMap as variables."""

    name: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The ConfigMap in the pod's namespace whose keys become variables."""
    optional: bool | None = None
    """Whether the ConfigMap may be missing. Default: false."""


class SecretEnvSource(Model, protobuf="(name) optional*"):
    """All keys of a Secret as variables."""

    name: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The Secret in the pod's namespace whose keys become variables."""
    optional: bool | None = None
    """Whether the Secret may be missing. Default: false."""


class EnvFromSource(Model, protobuf="prefix configMapRef secretRef"):
    """A source of many variables at once: exactly one of a ConfigMap and a Secret."""

    prefix: str | None = None
    """A prefix that each key gets to form the name of the variable."""
    configMapRef: ConfigMapEnvSource | None = None
    """The ConfigMap that the variables are taken from."""
    secretRef: SecretEnvSource | None = None
    """The Secret that the variables are taken from."""
