"""A user from the subject of a certificate."""

from __future__ import annotations

from apiserver.request.user import User, user_of_subject


def test_a_certificates_subject_is_a_user() -> None:
    subject = ((("organizationName", "system:nodes"),), (("organizationName", "x"), ("commonName", "system:node:a")))
    assert user_of_subject(subject) == User("system:node:a", "", ("system:nodes", "x", "system:authenticated"))
    assert user_of_subject(((("organizationName", "x"),),)) is None
    assert user_of_subject(()) is None
    known = user_of_subject(subject, "0a")
    assert known is not None
    assert known.extra == (("authentication.kubernetes.io/credential-id", ("X509SHA256=0a",)),)
