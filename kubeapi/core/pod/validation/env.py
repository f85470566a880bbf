"""Checks of environment variables and of downward API references.

Source: Kubernetes documentation, "Define Environment Variables for a Container", "Downward API".
"""

from __future__ import annotations

import re
from collections.abc import Collection

from apimachinery.names import dns_subdomain_errors, qualified_name_errors
from apimachinery.validation import Errors, Path, env_name_errors
from kubeapi.core.pod.env import EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceFieldSelector

_ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_POD_FIELDS = (
    *_ENV_FIELDS, "metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase",
)  # fmt: skip
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory",
    "requests.cpu", "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip
_CPU_DIVISORS = ("1", "1m")
_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SUBSCRIPT = re.compile(r"(.+)\['(.*)'\]\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SOURCES = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_ONE_ONLY = "may not have more than one field specified at a time"


def check_env(errors: Errors, path: Path, env: list[EnvVar] | None) -> None:
    for index, variable in enumerate(env or ()):
        if not variable.name:
            errors.required((*path, index, "name"))
        elif not _PLAIN_NAME.match(variable.name):
            errors.check_messages((*path, index, "name"), variable.name, env_name_errors(variable.name))
        if variable.valueFrom is not None:
            _check_value_from(errors, (*path, index, "valueFrom"), variable.valueFrom, variable.value)


def check_env_from(errors: Errors, path: Path, sources: list[EnvFromSource] | None) -> None:
    for index, source in enumerate(sources or ()):
        at = (*path, index)
        if source.prefix:
            errors.check_messages((*at, "prefix"), source.prefix, env_name_errors(source.prefix))
        if source.configMapRef is not None:
            _check_reference_name(errors, (*at, "configMapRef"), source.configMapRef.name)
        if source.secretRef is not None:
            _check_reference_name(errors, (*at, "secretRef"), source.secretRef.name)
        if source.configMapRef is None and source.secretRef is None:
            errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif source.configMapRef is not None and source.secretRef is not None:
            errors.invalid(path, "", _ONE_ONLY)


def check_field_ref(errors: Errors, path: Path, ref: ObjectFieldSelector, supported: Collection[str]) -> None:
    if not ref.apiVersion:
        errors.required((*path, "apiVersion"))
        return
    if not ref.fieldPath:
        errors.required((*path, "fieldPath"))
        return
    at, label = (*path, "fieldPath"), ref.fieldPath
    match = _SUBSCRIPT.match(label)
    if match and match[1] in ("metadata.annotations", "metadata.labels"):
        key = match[2].lower() if match[1] == "metadata.annotations" else match[2]
        errors.check_messages(path, key, qualified_name_errors(key))
    elif match:
        errors.invalid(at, label, f"error converting fieldPath: field label does not support subscript: {label}")
    elif label not in _POD_FIELDS:
        errors.invalid(at, label, f"error converting fieldPath: field label not supported: {label}")
    elif label not in supported:
        errors.not_supported(at, label, supported)


def check_resource_ref(errors: Errors, path: Path, ref: ResourceFieldSelector, *, container_required: bool) -> None:
    """Checks a reference to a resource. Volumes must name the container; a variable means its own."""
    if container_required and not ref.containerName:
        errors.required((*path, "containerName"))
    elif not ref.resource:
        errors.required((*path, "resource"))
    elif ref.resource not in _RESOURCES and not ref.resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        errors.not_supported((*path, "resource"), ref.resource, _RESOURCES)
    _check_divisor(errors, (*path, "divisor"), ref)


def _check_divisor(errors: Errors, path: Path, ref: ResourceFieldSelector) -> None:
    if ref.divisor == "0":
        return
    name = ref.resource.partition(".")[2]
    if name == "cpu":
        if ref.divisor not in _CPU_DIVISORS:
            text = "only divisor's values 1m and 1 are supported with the cpu resource"
            errors.invalid(path, ref.resource, text)
    elif name and ref.divisor not in _BYTE_DIVISORS:
        listed = ", ".join(_BYTE_DIVISORS)
        what = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(name, "hugepages")
        errors.invalid(path, ref.resource, f"only divisor's values {listed} are supported with the {what} resource")


def _check_value_from(errors: Errors, path: Path, source: EnvVarSource, value: str | None) -> None:
    if source.fieldRef is not None:
        check_field_ref(errors, (*path, "fieldRef"), source.fieldRef, _ENV_FIELDS)
    if source.resourceFieldRef is not None:
        check_resource_ref(errors, (*path, "resourceFieldRef"), source.resourceFieldRef, container_required=False)
    if source.configMapKeyRef is not None:
        _check_key_ref(errors, (*path, "configMapKeyRef"), source.configMapKeyRef.name, source.configMapKeyRef.key)
    if source.secretKeyRef is not None:
        _check_key_ref(errors, (*path, "secretKeyRef"), source.secretKeyRef.name, source.secretKeyRef.key)
    if source.fileKeyRef is not None:
        for field in ("volumeName", "path", "key"):
            if not getattr(source.fileKeyRef, field):
                errors.required((*path, "fileKeyRef", field))
    sources = len(source.present())
    if sources == 0:
        errors.invalid(path, "", f"must specify one of: {_SOURCES}")
    elif value:
        errors.invalid(path, "", "may not be specified when `value` is not empty")
    elif sources > 1:
        errors.invalid(path, "", _ONE_ONLY)


def _check_key_ref(errors: Errors, path: Path, name: str, key: str) -> None:
    errors.check_messages((*path, "name"), name, dns_subdomain_errors(name))
    if not key:
        errors.required((*path, "key"))
    else:
        errors.check_config_key((*path, "key"), key)


def _check_reference_name(errors: Errors, path: Path, name: str) -> None:
    errors.check_name((*path, "name"), name, dns_subdomain_errors)
