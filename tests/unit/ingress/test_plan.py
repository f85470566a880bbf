"""What the proxy has to do for the Ingresses that there are."""

from __future__ import annotations

from base64 import b64encode

import pytest

from ingress.owncertificate import make_certificate
from ingress.plan import ANY_HOST, Plan
from kubeapi.core.service.model import Service
from tests.kits.ingressworld import Cluster, backend

HASH = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"


def reasons(plan: Plan, name: str = "one") -> list[str]:
    return [complaint.reason for complaint in plan.complaints.get(f"default/{name}", ())]


def service_of(name: str) -> str:
    """Returns the Service in the name of a backend."""
    return name.split("_")[1]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.service("web", "10.0.0.1:8080", "-10.0.0.2:8080", "10.0.0.3:8080")
    return made


def test_only_ingresses_of_our_class_are_served(cluster: Cluster) -> None:
    cluster.ingress("ours", ("a.com/", "web"))
    cluster.ingress("theirs", ("b.com/", "web"), ingressClassName="other")
    cluster.ingress("nobody's", ("c.com/", "web"), ingressClassName=None)
    old = cluster.ingress("old", ("d.com/", "web"), ingressClassName=None)
    old.metadata.annotations = {"kubernetes.io/ingress.class": "mini"}
    going = cluster.ingress("going", ("e.com/", "web"))
    going.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    plan = cluster.plan()
    assert set(plan.served) == {"default/ours", "default/old"}
    assert plan.hosts == {"a.com", "d.com"}


def test_paths_become_keys_of_the_host_and_the_path(cluster: Cluster) -> None:
    cluster.ingress(
        "one", ("a.com/", "web"), ("a.com/x", "web"), ("a.com/y/", "web"), ("*.a.com/ä b%2d", "web"), ("/z", "web")
    )
    cluster.ingress("two", ("a.com/x", "web"), ("a.com/y/", "web"), path_type="Exact")
    plan = cluster.plan()
    assert set(plan.prefix) == {"a.com/", "a.com/x/", "a.com/y/", "*.a.com/%C3%A4%20b%2D/", f"{ANY_HOST}/z/"}
    assert set(plan.exact) == {"a.com/x", "a.com/y/"}
    assert plan.complaints == {}


def test_only_ready_endpoints_of_one_family_are_servers(cluster: Cluster) -> None:
    cluster.service("both", "10.0.0.1:80", "[fd00::1]:80", ipFamilies=["IPv6", "IPv4"])
    cluster.ingress("one", ("a.com/", "web"), ("b.com/", "both"))
    servers = {service_of(name): item.servers for name, item in cluster.plan().backends.items()}
    assert servers == {"web": {("10.0.0.1", 8080), ("10.0.0.3", 8080)}, "both": {("fd00::1", 80)}}


def test_a_change_of_what_was_looked_at_matters_whether_it_was_there_or_not(cluster: Cluster) -> None:
    cluster.ingress("one", ("a.com/", "missing"))
    plan = cluster.plan()
    assert plan.looked_at == {(Service, "default/missing")}
    assert reasons(plan) == ["ServiceNotFound"]
    (missing,) = plan.backends.values()
    assert missing.servers == frozenset()


def test_a_service_without_the_port_or_without_pods_of_its_own_is_told(cluster: Cluster) -> None:
    cluster.service("elsewhere", type="ExternalName", externalName="example.com")
    wrong = {"service": {"name": "web", "port": {"number": 81}}}
    cluster.ingress("one", defaultBackend=wrong)
    cluster.ingress("two", ("a.com/", "elsewhere"))
    plan = cluster.plan()
    assert (reasons(plan), reasons(plan, "two")) == (["ServiceNotFound"], ["ServiceNotServed"])


def test_other_kinds_of_backends_are_refused(cluster: Cluster) -> None:
    resource = {"resource": {"apiGroup": "example.com", "kind": "Bucket", "name": "icons"}}
    cluster.ingress("one", defaultBackend=resource)
    plan = cluster.plan()
    assert reasons(plan) == ["ResourceBackendNotServed"]
    assert "Bucket" in plan.complaints["default/one"][0].message


def test_of_equal_rules_that_of_the_oldest_ingress_counts(cluster: Cluster) -> None:
    cluster.service("other", "10.0.0.9:80")
    cluster.ingress("one", ("a.com/x", "web"))
    cluster.ingress("two", ("a.com/x/", "other"), ("a.com/y", "other"))
    plan = cluster.plan()
    assert {key: service_of(name) for key, name in plan.prefix.items()} == {"a.com/x/": "web", "a.com/y/": "other"}
    assert (reasons(plan), reasons(plan, "two")) == ([], ["PathConflict"])


def test_a_default_backend_is_that_of_the_hosts_of_its_ingress(cluster: Cluster) -> None:
    cluster.ingress("one", ("a.com/x", "web"), defaultBackend=backend("web"))
    cluster.ingress("two", defaultBackend=backend("web"))
    assert set(cluster.plan().fallback) == {"a.com", ANY_HOST}


def test_equal_backends_are_one_and_other_settings_are_another(cluster: Cluster) -> None:
    cluster.ingress("one", ("a.com/", "web"), ("b.com/", "web"))
    cluster.ingress("two", ("c.com/", "web"), annotations={"proxy-body-size": "1m"})
    plan = cluster.plan()
    assert plan.prefix["a.com/"] == plan.prefix["b.com/"] != plan.prefix["c.com/"]


def test_hosts_with_certificates_are_redirected_to_them(cluster: Cluster) -> None:
    pem = make_certificate()
    end = pem.index("-----BEGIN PRIVATE")
    cluster.secret("cert", tls_crt=pem[:end], tls_key=pem[end:])
    cluster.ingress("one", ("a.com/", "web"), ("b.com/", "web"), tls=[{"hosts": ["a.com"], "secretName": "cert"}])
    cluster.ingress("two", ("c.com/", "web"), tls=[{"secretName": "cert"}], annotations={"ssl-redirect": "false"})
    cluster.ingress("three", ("d.com/", "web"), tls=[{"secretName": "cert"}])
    plan = cluster.plan()
    assert set(plan.certificates) == {"a.com", "c.com", "d.com"}
    redirected = {
        host for host in ("a.com", "b.com", "c.com", "d.com") if plan.backends[plan.prefix[f"{host}/"]].redirect_to_tls
    }
    assert redirected == {"a.com", "d.com"}


def test_certificates_that_can_t_be_used_are_told_and_cost_no_other_host(cluster: Cluster) -> None:
    one, two = make_certificate(), make_certificate()
    end = one.index("-----BEGIN PRIVATE")
    cluster.secret("mixed", tls_crt=one[:end], tls_key=two[two.index("-----BEGIN PRIVATE") :])
    cluster.secret("torn", tls_crt=one[: end // 2], tls_key=one[end:])
    cluster.secret("half", tls_crt=one[:end])
    for index, secret in enumerate(("mixed", "torn", "half", "missing")):
        name = f"i{index}"
        cluster.ingress(name, (f"{name}.com/", "web"), tls=[{"hosts": [f"{name}.com"], "secretName": secret}])
        plan = cluster.plan()
        assert reasons(plan, name) == ["InvalidCertificate"]
        assert plan.certificates == {}
        assert f"{name}.com/" in plan.prefix


def test_users_come_from_a_file_or_from_keys(cluster: Cluster) -> None:
    cluster.secret("file", auth=f"ann:{HASH}\nbob:$apr1$x$y\n")
    cluster.secret("keys", ann=HASH, cid=HASH)
    auth = {"auth-type": "basic"}
    cluster.ingress("one", ("a.com/", "web"), annotations={**auth, "auth-secret": "file"})
    cluster.ingress(
        "two", ("b.com/", "web"), annotations={**auth, "auth-secret": "keys", "auth-secret-type": "auth-map"}
    )
    cluster.ingress("three", ("c.com/", "web"), annotations={**auth, "auth-secret": "missing"})
    plan = cluster.plan()
    users = {host: [user for user, _ in plan.backends[plan.prefix[f"{host}.com/"]].users] for host in "abc"}
    assert users == {"a": ["ann"], "b": ["ann", "cid"], "c": []}
    assert (reasons(plan), reasons(plan, "two"), reasons(plan, "three")) == (
        ["InvalidAuthSecret"],
        [],
        ["InvalidAuthSecret"],
    )


@pytest.mark.parametrize(
    ("path", "target", "reason"),
    [
        (r"/a(/|$)(.*)", "/$2", ""),
        (r"/[a-z]+/\d{2}(?:x|y)\.html", "/", ""),
        (r"/a(.*)", "/$2", "InvalidAnnotation"),
        (r"/a(", "/$1", "InvalidPath"),
        (r"/a'b(.*)", "/$1", "InvalidPath"),
        (r"/a\Qb(.*)", "/$1", "InvalidPath"),
        (r"/a(?=b)(.*)", "/$1", "InvalidPath"),
        (r"/a b(.*)", "/$1", "InvalidPath"),
        (r"/(a)\1", "/$1", "InvalidPath"),
        ("/a(.*)\n  bind :1", "/$1", "InvalidPath"),
    ],
)
def test_expressions_are_those_that_every_engine_reads_alike(
    cluster: Cluster, path: str, target: str, reason: str
) -> None:
    cluster.ingress(
        "one",
        (f"a.com{path}", "web"),
        path_type="ImplementationSpecific",
        annotations={"rewrite-target": target, "use-regex": "true"},
    )
    plan = cluster.plan()
    assert reasons(plan) == ([reason] if reason else [])
    assert len(plan.regex) == (0 if reason else 1)


def test_the_longest_expression_comes_first(cluster: Cluster) -> None:
    rules = [(f"a.com{path}", "web") for path in ("/a.*", "/a/b.*", "/a")]
    cluster.ingress("one", *rules, path_type="ImplementationSpecific", annotations={"use-regex": "true"})
    assert list(cluster.plan().regex) == [rf"(?i)^a\.com(?:{path})" for path in ("/a/b.*", "/a.*", "/a")]


def test_a_secret_that_is_no_base64_is_told(cluster: Cluster) -> None:
    cluster.secret("users", auth="")
    cluster.secrets["default/users"].data = {"auth": b64encode(b"x").decode() + "!"}
    cluster.ingress("one", ("a.com/", "web"), annotations={"auth-type": "basic", "auth-secret": "users"})
    assert reasons(cluster.plan()) == ["InvalidAuthSecret"]
