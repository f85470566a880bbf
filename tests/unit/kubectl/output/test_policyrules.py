"""Rules of roles as kubectl arranges them."""

from __future__ import annotations

from kubectl.output.policyrules import rule_rows


def test_rows_join_what_is_about_one_object_and_go_by_their_verbs() -> None:
    rules = [
        {"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "pods/log"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["b", "a"]},
        {"verbs": ["get", "post"], "nonResourceURLs": ["/x", "/x*"]},
    ]
    assert rule_rows(rules) == [
        ["*.*", "[]", "[]", "[*]"],
        ["pods", "[]", "[]", "[get list get]"],
        ["pods/log", "[]", "[]", "[get list]"],
        ["pods.apps/log", "[]", "[]", "[get list]"],
        ["pods.apps", "[]", "[]", "[get list]"],
        ["", "[/x*]", "[]", "[get]"],
        ["", "[/x]", "[]", "[get]"],
        ["secrets", "[]", "[a]", "[get]"],
        ["secrets", "[]", "[b]", "[get]"],
        ["", "[/x*]", "[]", "[post]"],
        ["", "[/x]", "[]", "[post]"],
    ]
    assert rule_rows([]) == []
