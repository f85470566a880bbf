"""What annotations ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingress.annotations import PREFIX, Affinity, BasicAuth, Settings, read

DEFAULT = Settings()


def of(**annotations: str) -> tuple[Settings, list[str]]:
    """Reads annotations whose names have _ for - and lack the prefix; returns the reasons of complaints."""
    settings, complaints = read({PREFIX + key.replace("_", "-"): value for key, value in annotations.items()})
    return settings, [complaint.reason for complaint in complaints]


@pytest.mark.parametrize(
    ("annotations", "changes"),
    [
        ({"rewrite_target": "/$1/x"}, {"rewrite_target": "/$1/x"}),
        ({"use_regex": "true"}, {"use_regex": True}),
        ({"ssl_redirect": "false"}, {"ssl_redirect": False}),
        ({"force_ssl_redirect": "true"}, {"force_ssl_redirect": True}),
        ({"proxy_body_size": "8m"}, {"most_body_bytes": 8 << 20}),
        ({"proxy_body_size": "10"}, {"most_body_bytes": 10}),
        ({"proxy_body_size": "0"}, {}),
        ({"proxy_connect_timeout": "3"}, {"connect_seconds": 3}),
        ({"proxy_read_timeout": "30s", "proxy_send_timeout": "20"}, {"idle_seconds": 30}),
        ({"affinity": "cookie"}, {"affinity": Affinity()}),
        ({"session_cookie_name": "unused"}, {}),
        (
            {
                "affinity": "cookie",
                "affinity_mode": "balanced",
                "session_cookie_name": "route",
                "session_cookie_max_age": "60",
                "session_cookie_samesite": "strict",
                "session_cookie_secure": "true",
                "session_cookie_path": "/",
            },
            {"affinity": Affinity("route", 60, "Strict", True)},
        ),
        ({"auth_type": "basic", "auth_secret": "users"}, {"auth": BasicAuth("users")}),
        (
            {"auth_type": "basic", "auth_secret": "users", "auth_realm": "Staff only", "auth_secret_type": "auth-map"},
            {"auth": BasicAuth("users", "Staff only", by_key=True)},
        ),
        ({"auth_realm": "alone"}, {}),
        ({"backend_protocol": "grpc"}, {"protocol": "GRPC"}),
        ({"whitelist_source_range": "10.0.0.1/8, ::1"}, {"sources": ("10.0.0.0/8", "::1/128")}),
    ],
)
def test_an_annotation_says_how_requests_are_served(annotations: dict[str, str], changes: dict[str, object]) -> None:
    assert of(**annotations) == (replace(DEFAULT, **changes), [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "annotations",
    [
        {"rewrite_target": "/'x"},
        {"rewrite_target": "/$host"},
        {"rewrite_target": "/%[env(HOME)]"},
        {"rewrite_target": "/\\1"},
        {"rewrite_target": "/a\nb"},
        {"use_regex": "yes"},
        {"proxy_body_size": "8 m"},
        {"proxy_body_size": "1e9"},
        {"proxy_read_timeout": "0"},
        {"proxy_read_timeout": "\u0661"},
        {"proxy_read_timeout": "999999"},
        {"affinity": "ip"},
        {"affinity": "cookie", "session_cookie_name": "a b"},
        {"affinity": "cookie", "session_cookie_path": "/x"},
        {"backend_protocol": "AJP"},
    ],
)
def test_what_is_not_understood_is_told(annotations: dict[str, str]) -> None:
    settings, reasons = of(**annotations)
    assert (settings.closed, reasons) == ("", ["InvalidAnnotation"])


@pytest.mark.parametrize(
    "annotations",
    [
        {"auth_type": "digest", "auth_secret": "users"},
        {"auth_type": "basic"},
        {"auth_type": "basic", "auth_secret": "other/users"},
        {"auth_type": "basic", "auth_secret": "users", "auth_realm": "it's"},
        {"whitelist_source_range": "10.0.0.0/8,nowhere"},
        {"auth_url": "http://example.com"},
        {"auth_tls_secret": "ca"},
        {"denylist_source_range": "10.0.0.0/8"},
        {"limit_rps": "1"},
    ],
)
def test_what_was_to_keep_somebody_out_keeps_all_out(annotations: dict[str, str]) -> None:
    settings, reasons = of(**annotations)
    assert settings.closed
    assert settings.auth is None
    assert len(reasons) == 1


def test_what_is_not_served_is_named_and_what_others_say_is_not_ours() -> None:
    settings, complaints = read({PREFIX + "server-snippet": "return 200;", "example.com/owner": "me"})
    assert settings == DEFAULT
    assert [(item.reason, item.message) for item in complaints] == [
        ("AnnotationNotServed", f"annotation {PREFIX}server-snippet is not served")
    ]
