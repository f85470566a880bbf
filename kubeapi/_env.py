"""Environment variables of a container and where their values come from."""

from __future__ import annotations

from apimachinery.model import Model
from apimachinery.quantity import Quantity


class ObjectFieldSelector(Model):
    map_type = "atomic"

    apiVersion: str = "v1"
    fieldPath: str = ""


class ResourceFieldSelector(Model):
    map_type = "atomic"

    containerName: str | None = None
    resource: str = ""
    divisor: Quantity = "0"


class ConfigMapKeySelector(Model):
    map_type = "atomic"

    name: str = ""
    key: str = ""
    optional: bool | None = None


class SecretKeySelector(Model):
    map_type = "atomic"

    name: str = ""
    key: str = ""
    optional: bool | None = None


class FileKeySelector(Model):
    map_type = "atomic"

    volumeName: str = ""
    path: str = ""
    key: str = ""
    optional: bool | None = False


class EnvVarSource(Model):
    fieldRef: ObjectFieldSelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    configMapKeyRef: ConfigMapKeySelector | None = None
    secretKeyRef: SecretKeySelector | None = None
    fileKeyRef: FileKeySelector | None = None


class EnvVar(Model):
    name: str = ""
    value: str | None = None
    valueFrom: EnvVarSource | None = None


class ConfigMapEnvSource(Model):
    name: str = ""
    optional: bool | None = None


class SecretEnvSource(Model):
    name: str = ""
    optional: bool | None = None


class EnvFromSource(Model):
    prefix: str | None = None
    configMapRef: ConfigMapEnvSource | None = None
    secretRef: SecretEnvSource | None = None
