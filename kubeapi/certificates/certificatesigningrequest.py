"""CertificateSigningRequest: asks a signer for a certificate, waits to be approved, and carries the certificate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import AGE, NAME, NONE
from apimachinery.conditions import get_condition
from apimachinery.errors import FieldError
from apimachinery.meta import Object, StatusCondition
from apimachinery.model import Base64, Int32, ListMapKeys, Model, Required, Time
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.times import human_duration
from apimachinery.validation import Errors
from kubeapi.certificates._signername import check_signer_name

GROUP = "certificates.k8s.io"
APPROVAL = "approval"

APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
PERMANENT = (APPROVED, DENIED, FAILED)
"""Conditions that can't be taken back."""

KUBE_APISERVER_CLIENT = "kubernetes.io/kube-apiserver-client"
KUBE_APISERVER_CLIENT_KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown"

CLIENT_AUTH, SERVER_AUTH = "client auth", "server auth"
DIGITAL_SIGNATURE, KEY_ENCIPHERMENT = "digital signature", "key encipherment"
USAGES = (
    "any",
    "cert sign",
    CLIENT_AUTH,
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    DIGITAL_SIGNATURE,
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    KEY_ENCIPHERMENT,
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    SERVER_AUTH,
    "signing",
    "timestamping",
)
MIN_SECONDS = 600


class CertificateSigningRequestSpec(
    Model, protobuf="request username uid groups usages extra signerName expirationSeconds*"
):
    """The wanted certificate, and who wants it. None of it can be changed."""

    request: Annotated[Base64, Required()] = ""
    """A PKCS#10 request in a PEM block `CERTIFICATE REQUEST`, in base64."""
    signerName: str = ""
    """The signer that shall answer, such as `kubernetes.io/kube-apiserver-client`."""
    expirationSeconds: Int32 | None = None
    """The time for which the certificate should be valid, 600 or more; the signer may choose another. Default: the
    signer's own."""
    usages: Annotated[list[str], NullIfEmpty()] = Field(default_factory=list)
    """What the certificate is for, such as `client auth` and `digital signature`."""
    username: str | None = None
    """The name of the user who made this object; the server fills it in."""
    uid: str | None = None
    """The uid of that user; the server fills it in."""
    groups: list[str] | None = None
    """The groups of that user; the server fills them in."""
    extra: dict[str, list[str]] | None = None
    """Further facts about that user; the server fills them in."""


class CertificateSigningRequestCondition(
    StatusCondition, protobuf="type reason message lastUpdateTime lastTransitionTime status"
):
    """A decision about the request."""

    type: str = ""
    """Approved, Denied or Failed, or a name of one's own with a domain before it."""
    status: Annotated[str, Required()] = ""
    """True, False or Unknown; Approved, Denied and Failed are always True."""
    lastUpdateTime: Annotated[Time, NullIfEmpty()] = ""
    """The time at which the condition last changed in any way."""


class CertificateSigningRequestStatus(Model, protobuf="conditions certificate"):
    """The decisions about the request, and the certificate."""

    conditions: Annotated[list[CertificateSigningRequestCondition], ListMapKeys("type")] | None = None
    """The decisions. One of type Approved lets the signer sign; Denied and Failed are final."""
    certificate: Base64 | None = None
    """The certificate and the certificates of its issuers, in PEM blocks, in base64. It is set once."""


class CertificateSigningRequest(Object, protobuf="metadata spec status"):
    """Asks a signer for a certificate. Whoever may approve requests to that signer decides, the signer then signs, and
    the requester finds the certificate in the status."""

    spec: Annotated[CertificateSigningRequestSpec, Required()] = Field(default_factory=CertificateSigningRequestSpec)
    """The wanted certificate."""
    status: CertificateSigningRequestStatus = Field(default_factory=CertificateSigningRequestStatus)
    """What has become of the request."""


class CertificateSigningRequestStrategy(Strategy[CertificateSigningRequest]):
    """Source: Kubernetes documentation, "Certificates and Certificate Signing Requests"."""

    generation_tracks_spec = False
    ignored_members: ClassVar = {"": ("spec",), APPROVAL: ("spec",)}  # of a new object, too, as upstream has it

    def record_requester(
        self,
        obj: CertificateSigningRequest,
        name: str,
        uid: str,
        groups: Sequence[str],
        extra: Mapping[str, Sequence[str]],
    ) -> None:
        spec = obj.spec
        spec.username, spec.uid = name or None, uid or None
        spec.groups = list(groups) or None
        spec.extra = {key: list(values) for key, values in extra.items()} or None

    def prepare_update(self, obj: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
        obj.spec = old.spec

    def prepare_status_update(self, obj: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
        for kind in (APPROVED, DENIED):
            _keep_condition(obj.status, old.status, kind)

    def prepare_subresource_update(
        self, obj: CertificateSigningRequest, old: CertificateSigningRequest, subresource: str
    ) -> None:
        conditions = obj.status.conditions
        obj.spec = old.spec
        obj.status = old.status.clone()
        obj.status.conditions = conditions

    def validate_create(self, obj: CertificateSigningRequest) -> list[FieldError]:
        from kubeapi.certificates._request import BadPem, is_signed, parse_request

        errors, spec = Errors(), obj.spec
        try:
            if not is_signed(parse_request(spec.request)):
                errors.invalid(("spec", "request"), spec.request, "the signature of the request does not fit its key")
        except BadPem as error:
            errors.invalid(("spec", "request"), spec.request or None, str(error))
        _check_usages(errors, spec.usages)
        if spec.signerName == LEGACY_UNKNOWN:
            text = "the legacy signerName is not allowed via this API version"
            errors.invalid(("spec", "signerName"), spec.signerName, text)
        else:
            check_signer_name(errors, ("spec", "signerName"), spec.signerName)
        if spec.expirationSeconds is not None and spec.expirationSeconds < MIN_SECONDS:
            text = f"may not specify a duration less than {MIN_SECONDS} seconds (10 minutes)"
            errors.invalid(("spec", "expirationSeconds"), spec.expirationSeconds, text)
        return errors

    def validate_status_update(
        self, obj: CertificateSigningRequest, old: CertificateSigningRequest
    ) -> list[FieldError]:
        from kubeapi.certificates._request import certificate_error

        errors = Errors()
        _check_conditions(errors, obj.status.conditions or ())
        if obj.status.certificate and (why := certificate_error(obj.status.certificate)):
            errors.invalid(("status", "certificate"), "<certificate data>", why)
        _check_decisions(errors, obj.status, old.status, may_decide=False)
        if old.status.certificate and obj.status.certificate != old.status.certificate:
            errors.forbidden(("status", "certificate"), "updates may not modify existing certificate content")
        return errors

    def validate_subresource_update(
        self, obj: CertificateSigningRequest, old: CertificateSigningRequest, subresource: str
    ) -> list[FieldError]:
        errors = Errors()
        _check_conditions(errors, obj.status.conditions or ())
        _check_decisions(errors, obj.status, old.status, may_decide=True)
        return errors

    def validate_name(self, name: str) -> list[str]:
        return []


def is_approved(obj: CertificateSigningRequest) -> bool:
    """Tells whether the signer may sign."""
    conditions = obj.status.conditions
    return get_condition(conditions, APPROVED) is not None and get_condition(conditions, DENIED) is None


def has_failed(obj: CertificateSigningRequest) -> bool:
    return get_condition(obj.status.conditions, FAILED) is not None


def is_decided(obj: CertificateSigningRequest) -> bool:
    """Tells whether the request is approved or denied."""
    return any(get_condition(obj.status.conditions, kind) is not None for kind in (APPROVED, DENIED))


def complete_conditions(obj: CertificateSigningRequest, old: CertificateSigningRequest, now: str) -> None:
    """Sets the times that the conditions came without; `now` is as on the wire."""
    for condition in obj.status.conditions or ():
        condition.lastUpdateTime = condition.lastUpdateTime or now
        if not condition.lastTransitionTime:
            before = get_condition(old.status.conditions, condition.type)
            same = before is not None and before.status == condition.status
            condition.lastTransitionTime = (before.lastTransitionTime if before and same else "") or now


def _keep_condition(new: CertificateSigningRequestStatus, old: CertificateSigningRequestStatus, kind: str) -> None:
    """Keeps a condition as it is stored, unless it was added or removed, which validation refuses."""
    stored = get_condition(old.conditions, kind)
    if stored is not None and new.conditions:
        new.conditions = [stored if condition.type == kind else condition for condition in new.conditions]


def _check_usages(errors: Errors, usages: Sequence[str]) -> None:
    if not usages:
        errors.required(("spec", "usages"))
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            errors.not_supported(("spec", "usages", index), usage, USAGES)
        elif usage in usages[:index]:
            errors.duplicate(("spec", "usages", index), usage)


def _check_conditions(errors: Errors, conditions: Iterable[CertificateSigningRequestCondition]) -> None:
    types: set[str] = set()
    for index, condition in enumerate(conditions):
        path = ("status", "conditions", index)
        if not condition.type:
            errors.required((*path, "type"))
        if condition.type in types:
            errors.duplicate((*path, "type"), condition.type)
        elif condition.type in (APPROVED, DENIED) and types & {APPROVED, DENIED}:
            text = "Approved and Denied conditions are mutually exclusive"
            errors.invalid(("status", "conditions"), condition.type, text)
        types.add(condition.type)
        supported = ("True",) if condition.type in PERMANENT else ("True", "False", "Unknown")
        errors.check_one_of((*path, "status"), condition.status, supported)


def _check_decisions(
    errors: Errors,
    new: CertificateSigningRequestStatus,
    old: CertificateSigningRequestStatus,
    *,
    may_decide: bool,
) -> None:
    """Refuses the removal of a decision, and a new one but through the subresource for it."""
    for kind in PERMANENT:
        before, after = get_condition(old.conditions, kind), get_condition(new.conditions, kind)
        if before is not None and after is None:
            errors.forbidden(("status", "conditions"), f'updates may not remove a condition of type "{kind}"')
        elif before is None and after is not None and not may_decide and kind != FAILED:
            errors.forbidden(("status", "conditions"), f'updates may not add a condition of type "{kind}"')


def condition_text(obj: CertificateSigningRequest) -> str:
    """Words the state of the request, such as "Approved,Issued"."""
    conditions = obj.status.conditions
    if get_condition(conditions, DENIED) is not None:
        text = DENIED
    else:
        text = APPROVED if get_condition(conditions, APPROVED) is not None else "Pending"
    return text + (",Failed" if has_failed(obj) else "") + (",Issued" if obj.status.certificate else "")


def _duration(obj: CertificateSigningRequest) -> str:
    seconds = obj.spec.expirationSeconds
    return NONE if seconds is None else human_duration(seconds)


RESOURCE = Resource(
    kind="CertificateSigningRequest",
    plural="certificatesigningrequests",
    model=CertificateSigningRequest,
    group=GROUP,
    namespaced=False,
    short_names=("csr",),
    strategy=CertificateSigningRequestStrategy(),
    status=True,
    fields={"spec.signerName": lambda obj: obj.spec.signerName},
    columns=(
        NAME,
        AGE,
        Column("SignerName", lambda obj, now: obj.spec.signerName, "The signer that shall answer."),
        Column("Requestor", lambda obj, now: obj.spec.username or "", "The user who made the request."),
        Column(
            "RequestedDuration",
            lambda obj, now: _duration(obj),
            "For how long the certificate should be valid; the signer may choose another time.",
        ),
        Column(
            "Condition",
            lambda obj, now: condition_text(obj),
            "Whether the request is approved, denied or failed, and whether the certificate is issued.",
        ),
    ),
)
