"""What validating and mutating admission policies share."""

from __future__ import annotations

import re
from typing import Annotated, Any

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector
from apimachinery.model import Atomic, Model
from apimachinery.names import dns_subdomain_errors, path_segment_errors
from apimachinery.resource import Column, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.admissionregistration._matching import MatchResources, check_match, default_match

NOT_FOUND_ACTIONS = ("Deny", "Allow")
_KIND = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)
_KIND_RULE = (
    "may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric "
    "characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  "
    "or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


class ParamKind(Model, protobuf="apiVersion kind"):
    """A kind of objects that hold parameters."""

    map_type = "atomic"

    apiVersion: str | None = None
    """The group and version of the kind."""
    kind: str | None = None
    """The kind."""


class ParamRef(Model, protobuf="name namespace selector* parameterNotFoundAction*"):
    """The objects with parameters that a binding uses, by their name or their labels."""

    map_type = "atomic"

    name: str | None = None
    """The name of the object."""
    namespace: str | None = None
    """The namespace of the objects, for kinds in namespaces. Default: that of the request's object."""
    selector: LabelSelector | None = None
    """The labels of the objects. The policy is evaluated with each of them."""
    parameterNotFoundAction: str | None = None
    """What happens if no object is found. Allow: the binding is ignored. Deny: the policy's failurePolicy decides."""


class Variable(Model, protobuf="name expression"):
    """A value that expressions of the policy use as `variables.NAME`, computed when one first needs it."""

    map_type = "atomic"

    name: str = ""
    """The name: an identifier of CEL."""
    expression: str = ""
    """The CEL expression of the value. It may use variables that stand before it."""


class PolicyBindingSpec(Model, protobuf="policyName paramRef* matchResources*"):
    """Puts a policy into force."""

    policyName: str | None = None
    """The name of the policy; without it the binding does nothing."""
    paramRef: ParamRef | None = None
    """The objects with parameters; needed where the policy has a `paramKind`."""
    matchResources: MatchResources | None = None
    """The requests that this binding is about, among those of the policy. Default: all."""


AtomicVariables = Annotated[list[Variable], Atomic()]


def check_param_kind(errors: Errors, path: Path, kind: ParamKind | None) -> None:
    if kind is None:
        return
    at = (*path, "apiVersion")
    if not kind.apiVersion:
        errors.required(at)
    elif kind.apiVersion.count("/") > 1:
        errors.invalid(at, kind.apiVersion, f"unexpected GroupVersion string: {kind.apiVersion}")
    else:
        group, _, version = kind.apiVersion.rpartition("/")
        if group:
            errors.check_messages(at, group, dns_subdomain_errors(group))
        if not _KIND.fullmatch(version):
            errors.invalid(at, version, _KIND_RULE.partition("match: ")[2])
    if not kind.kind:
        errors.required((*path, "kind"))
    elif not _KIND.fullmatch(kind.kind):
        errors.invalid((*path, "kind"), kind.kind, _KIND_RULE)


class PolicyBindingStrategy(Strategy[Any]):
    """The rules of bindings of both kinds."""

    plain_finalizers = True

    def default(self, obj: Any) -> None:
        default_match(obj.spec.matchResources)

    def validate(self, obj: Any) -> list[FieldError]:
        errors, path, spec = Errors(), ("spec",), obj.spec
        errors.check_name((*path, "policyName"), spec.policyName, dns_subdomain_errors)
        if spec.paramRef is not None:
            _check_param_ref(errors, (*path, "paramRef"), spec.paramRef)
        if spec.matchResources is not None:
            check_match(errors, (*path, "matchResources"), spec.matchResources)
        return errors


def _check_param_ref(errors: Errors, path: Path, ref: ParamRef) -> None:
    if ref.name and ref.selector is not None:
        for member in ("name", "selector"):
            errors.forbidden((*path, member), "name and selector are mutually exclusive")
    elif ref.name:
        errors.check_messages((*path, "name"), ref.name, path_segment_errors(ref.name))
    elif ref.selector is not None:
        errors.check_selector((*path, "selector"), ref.selector)
    else:
        errors.required(path, "one of name or selector must be specified")
    errors.check_one_of((*path, "parameterNotFoundAction"), ref.parameterNotFoundAction, NOT_FOUND_ACTIONS)


def param_kind_cell(kind: ParamKind | None) -> str:
    return f"{kind.apiVersion}/{kind.kind}" if kind else "<unset>"


def _param_ref_cell(ref: ParamRef | None) -> str:
    if ref is None:
        return "<unset>"
    if ref.selector is not None:
        return "*"
    return f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name or ""


BINDING_COLUMNS = (
    NAME,
    Column("PolicyName", lambda obj, now: obj.spec.policyName, "The policy."),
    Column("ParamRef", lambda obj, now: _param_ref_cell(obj.spec.paramRef), "The objects with its parameters."),
    AGE,
)
