"""CertificateSigningRequest: what is refused, who may decide, what its row shows."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from kubeapi.certificates.certificatesigningrequest import (
    APPROVAL,
    LEGACY_UNKNOWN,
    RESOURCE,
    USAGES,
    CertificateSigningRequest,
    complete_conditions,
    is_approved,
)
from tests.kits.kinds import A_DAY_AGO, AN_HOUR_AGO, FIVE_MINUTES_AGO, headers, load, problems, row, status_problems
from tests.kits.net.requests import encoded_request, request_pem

Dict = dict[str, Any]


def request(status: Dict | None = None, **spec: Any) -> Dict:
    wanted = {
        "request": encoded_request("jane", ["dev"]),
        "signerName": "example.com/s",
        "usages": ["client auth"],
        **spec,
    }
    return {"metadata": {"name": "r", "creationTimestamp": A_DAY_AGO}, "spec": wanted, "status": status or {}}


def decided(*kinds: str, certificate: str = "", **members: str) -> Dict:
    conditions = [{"type": kind, "status": "True", **members} for kind in kinds]
    return request({"conditions": conditions, **({"certificate": certificate} if certificate else {})})


def base64(text: bytes) -> str:
    return b64encode(text).decode()


def resigned() -> str:
    """A request whose signature is of other content."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    der = bytearray(x509.load_pem_x509_csr(request_pem("jane")).public_bytes(Encoding.DER))
    at = der.index(b"jane")
    der[at : at + 4] = b"root"
    return base64(x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM))


PEM_TYPE = "PEM block type must be CERTIFICATE REQUEST"
MESSAGES: list[tuple[Dict, list[str]]] = [
    (request(), []),
    (request(usages=list(USAGES)), []),
    (request(expirationSeconds=600), []),
    (request(request=""), [f"spec.request: Invalid value: null: {PEM_TYPE}"]),
    (request(request="eA=="), [f'spec.request: Invalid value: "eA==": {PEM_TYPE}']),
    (request(usages=[]), ["spec.usages: Required value"]),
    (request(usages=["client auth", "client auth"]), ['spec.usages[1]: Duplicate value: "client auth"']),
    (request(signerName=""), ["spec.signerName: Required value"]),
    (
        request(signerName="a.b/c/d"),
        [
            'spec.signerName: Invalid value: "a.b/c/d": must be a fully qualified domain and path of the form '
            "'example.com/signer-name'"
        ],
    ),
    (
        request(signerName="example/c"),
        ['spec.signerName: Invalid value: "example": should be a domain with at least two segments separated by dots'],
    ),
    (
        request(signerName=LEGACY_UNKNOWN),
        [
            f'spec.signerName: Invalid value: "{LEGACY_UNKNOWN}": the legacy signerName is not allowed via this API '
            "version"
        ],
    ),
    (
        request(expirationSeconds=599),
        ["spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)"],
    ),
]


@pytest.mark.parametrize(("document", "messages"), MESSAGES)
def test_new_requests_are_checked(document: Dict, messages: list[str]) -> None:
    assert problems(RESOURCE, document) == messages


@pytest.mark.parametrize("text", [b"-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n"])
def test_what_is_no_request_inside_is_refused(text: bytes) -> None:
    (problem,) = problems(RESOURCE, request(request=base64(text)))
    assert problem.startswith("spec.request: Invalid value")
    assert "can't be parsed" in problem


def test_a_request_signed_by_another_key_is_refused() -> None:
    (problem,) = problems(RESOURCE, request(request=resigned()))
    assert problem.endswith("the signature of the request does not fit its key")


def test_the_sender_is_recorded_and_not_what_is_sent() -> None:
    obj = load(RESOURCE, request(username="forged", groups=["system:masters"], uid="1", extra={"a": ["b"]}))
    RESOURCE.strategy.record_requester(obj, "jane", "", ("dev", "system:authenticated"), {})
    spec = obj.spec
    assert (spec.username, spec.uid, spec.groups, spec.extra) == ("jane", None, ["dev", "system:authenticated"], None)


def approval_problems(old: Dict, new: Dict) -> list[str]:
    before, after = load(RESOURCE, old), load(RESOURCE, new)
    RESOURCE.strategy.prepare_subresource_update(after, before, APPROVAL)
    return [str(error) for error in RESOURCE.strategy.validate_subresource_update(after, before, APPROVAL)]


APPROVALS: list[tuple[Dict, Dict, list[str]]] = [
    (request(), decided("Approved"), []),
    (request(), decided("example.com/Odd"), []),
    (decided("Approved"), decided("Approved", reason="again"), []),
    (
        decided("Approved"),
        request(),
        ['status.conditions: Forbidden: updates may not remove a condition of type "Approved"'],
    ),
    (
        decided("Approved"),
        decided("Approved", "Denied"),
        ['status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive'],
    ),
    (
        request(),
        decided("Approved", status="False"),
        ['status.conditions[0].status: Unsupported value: "False": supported values: "True"'],
    ),
    (request(), decided("Approved", "Approved"), ['status.conditions[1].type: Duplicate value: "Approved"']),
]


@pytest.mark.parametrize(("old", "new", "messages"), APPROVALS)
def test_decisions_are_final(old: Dict, new: Dict, messages: list[str]) -> None:
    assert approval_problems(old, new) == messages


CERTIFICATE = 'status.certificate: Invalid value: "<certificate data>": '
STATUSES: list[tuple[Dict, Dict, list[str]]] = [
    (decided("Approved"), decided("Approved", "Failed"), []),
    (
        request(),
        decided("Approved"),
        ['status.conditions: Forbidden: updates may not add a condition of type "Approved"'],
    ),
    (
        decided("Approved"),
        decided("Approved", certificate=base64(b"x")),
        [CERTIFICATE + "must contain at least one CERTIFICATE PEM block"],
    ),
    (
        decided("Approved"),
        decided("Approved", certificate=base64(request_pem("a"))),
        [CERTIFICATE + 'only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE REQUEST"'],
    ),
]


@pytest.mark.parametrize(("old", "new", "messages"), STATUSES)
def test_the_status_carries_the_certificate_and_no_decision(old: Dict, new: Dict, messages: list[str]) -> None:
    assert status_problems(RESOURCE, old, new) == messages


def test_a_status_keeps_the_decision_as_it_is() -> None:
    before = load(RESOURCE, decided("Approved", reason="first"))
    after = load(RESOURCE, decided("Approved", reason="other"))
    RESOURCE.strategy.prepare_status_update(after, before)
    assert after.status.conditions == before.status.conditions


def test_conditions_get_the_time_at_which_they_came() -> None:
    old: CertificateSigningRequest = load(RESOURCE, decided("Approved", lastTransitionTime=AN_HOUR_AGO))
    new: CertificateSigningRequest = load(RESOURCE, decided("Approved", "Failed"))
    complete_conditions(new, old, FIVE_MINUTES_AGO)
    times = [(item.lastUpdateTime, item.lastTransitionTime) for item in new.status.conditions or ()]
    assert times == [(FIVE_MINUTES_AGO, AN_HOUR_AGO), (FIVE_MINUTES_AGO, FIVE_MINUTES_AGO)]


@pytest.mark.parametrize(
    ("kinds", "certificate", "text", "approved"),
    [
        ((), "", "Pending", False),
        (("Approved",), "", "Approved", True),
        (("Approved",), "eA==", "Approved,Issued", True),
        (("Denied",), "", "Denied", False),
        (("Approved", "Failed"), "", "Approved,Failed", True),
    ],
)
def test_row(kinds: tuple[str, ...], certificate: str, text: str, approved: bool) -> None:
    document = decided(*kinds, certificate=certificate)
    document["spec"] |= {"username": "jane", "expirationSeconds": 3600}
    assert row(RESOURCE, document) == {
        "Name": "r",
        "Age": "24h",
        "SignerName": "example.com/s",
        "Requestor": "jane",
        "RequestedDuration": "60m",
        "Condition": text,
    }
    assert is_approved(load(RESOURCE, document)) is approved
    assert headers(RESOURCE, wide=True) == []
