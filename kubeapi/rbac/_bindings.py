"""What bindings consist of: the role, and the subjects that get it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.names import dns_subdomain_errors, path_segment_errors
from apimachinery.resource import Column
from apimachinery.validation import Errors, Path
from kubeapi.rbac._rules import GROUP, RbacStrategy

USER, GROUP_KIND, SERVICE_ACCOUNT = "User", "Group", "ServiceAccount"


class RoleRef(Model, protobuf="apiGroup kind name"):
    """Names the role that a binding grants."""

    map_type = "atomic"

    apiGroup: str = ""
    """The API group of the role: `rbac.authorization.k8s.io`, which is also the default."""
    kind: str = ""
    """`Role` or `ClusterRole`."""
    name: str = ""
    """The name of the role."""


class Subject(Model, protobuf="kind apiGroup name namespace"):
    """Names a user, group or service account that gets the role."""

    map_type = "atomic"

    kind: str = ""
    """`User`, `Group` or `ServiceAccount`."""
    apiGroup: str | None = None
    """The API group of the kind. Default: none for a ServiceAccount, `rbac.authorization.k8s.io` for the others."""
    name: str = ""
    """The name of the user, group or service account."""
    namespace: str | None = None
    """The namespace of the service account; it means nothing for users and groups."""


class Binding(Object):
    """The members that both kinds of binding have."""

    subjects: list[Subject] | None = None
    """The users, groups and service accounts that get the role."""
    roleRef: RoleRef = Field(default_factory=RoleRef)
    """The role. It can't be changed; delete the binding and create another instead."""


B = TypeVar("B", bound=Binding)


class BindingStrategy(RbacStrategy[B]):
    """Source: Kubernetes documentation, "Using RBAC Authorization"."""

    def __init__(self, *role_kinds: str) -> None:
        self._role_kinds = role_kinds

    def default(self, obj: B) -> None:
        obj.roleRef.apiGroup = obj.roleRef.apiGroup or GROUP
        for subject in obj.subjects or ():
            if not subject.apiGroup and subject.kind in (USER, GROUP_KIND):
                subject.apiGroup = GROUP

    def validate(self, obj: B) -> list[FieldError]:
        errors, role = Errors(), obj.roleRef
        if role.apiGroup != GROUP:
            errors.not_supported(("roleRef", "apiGroup"), role.apiGroup, [GROUP])
        if role.kind not in self._role_kinds:
            errors.not_supported(("roleRef", "kind"), role.kind, self._role_kinds)
        errors.check_name(("roleRef", "name"), role.name, path_segment_errors)
        for index, subject in enumerate(obj.subjects or ()):
            _check_subject(errors, ("subjects", index), subject)
        return errors

    def validate_update(self, obj: B, old: B) -> list[FieldError]:
        errors, role = Errors(), obj.roleRef
        if role != old.roleRef:
            shown = {"APIGroup": role.apiGroup, "Kind": role.kind, "Name": role.name}
            errors.invalid(("roleRef",), shown, "cannot change roleRef")
        return errors


def _check_subject(errors: Errors, path: Path, subject: Subject) -> None:
    if not subject.name:
        errors.required((*path, "name"))
    group = subject.apiGroup or ""
    if subject.kind == SERVICE_ACCOUNT:
        if subject.name:
            errors.check_messages((*path, "name"), subject.name, dns_subdomain_errors(subject.name))
        if group:
            errors.not_supported((*path, "apiGroup"), group, [""])
    elif subject.kind in (USER, GROUP_KIND):
        if group != GROUP:
            errors.not_supported((*path, "apiGroup"), group, [GROUP])
    else:
        errors.not_supported((*path, "kind"), subject.kind, [SERVICE_ACCOUNT, USER, GROUP_KIND])


def _names(kind: str) -> Callable[[Any, float], str]:
    def cell(obj: Binding, now: float) -> str:
        subjects = [subject for subject in obj.subjects or () if subject.kind == kind]
        if kind == SERVICE_ACCOUNT:
            return ", ".join(f"{subject.namespace or ''}/{subject.name}" for subject in subjects)
        return ", ".join(subject.name for subject in subjects)

    return cell


COLUMNS = (
    NAME,
    Column("Role", lambda obj, now: f"{obj.roleRef.kind}/{obj.roleRef.name}", "The role that is granted."),
    AGE,
    Column("Users", _names(USER), "The users that get the role.", priority=1),
    Column("Groups", _names(GROUP_KIND), "The groups that get the role.", priority=1),
    Column("ServiceAccounts", _names(SERVICE_ACCOUNT), "The service accounts that get the role.", priority=1),
)
