"""The proxy's files, and that nobody writes into them what is not theirs to write."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ingress.annotations import _READERS
from ingress.configuration import CERTIFICATE_LIST, CONFIGURATION, EXACT, HOSTS, PREFIX, REGEX, Rendered, render
from ingress.plan import Plan
from ingress.proxy import batches
from tests.kits.ingressworld import OWN_CERTIFICATE, Cluster, place

TEXTS = st.one_of(
    st.text(),
    st.sampled_from(["true", "/$1", "8m", "30", "cookie", "basic", "users", "auth-map", "10.0.0.0/8", "GRPC", "Lax"]),
    st.from_regex(r"[ -~\n]{0,20}", fullmatch=True),
    st.sampled_from(["x'\n  server evil 1.2.3.4:80\n", '"', "\\", "%[env(HOME)]", "a #b", "/ {", "a\tb", "\x00"]),
)
LINE = re.compile(
    r"|#|(global|defaults|frontend requests|userlist \S+|backend [\w-]+)"
    r"|  (log|stats socket|hard-stop-after|ssl-default-bind-options|expose-experimental-directives|mode|balance|retries"
    r"|retry-on|option|timeout|bind|http-request|use_backend|user|group|cookie|dynamic-cookie-key|server) ?.*"
)


def rendered(cluster: Cluster) -> Rendered:
    return render(cluster.plan(), place())


def one(**annotations: str) -> Cluster:
    cluster = Cluster()
    cluster.service("web", "10.0.0.1:80")
    cluster.ingress("one", ("a.com/", "web"), annotations={k.replace("_", "-"): v for k, v in annotations.items()})
    return cluster


def test_nothing_to_serve_is_a_configuration_too() -> None:
    files = render(Plan(), place()).files
    assert "bind 127.0.0.1:443 ssl" in files[CONFIGURATION]
    assert files[HOSTS] == files[EXACT] == files[PREFIX] == files[REGEX] == ""
    (line,) = files[CERTIFICATE_LIST].splitlines()
    assert files[line.removeprefix("/run/ingress/")] == OWN_CERTIFICATE


def test_a_wildcard_is_found_by_its_domain() -> None:
    cluster = one()
    cluster.ingress("two", ("*.b.com/", "web"), ("/", "web"))
    assert rendered(cluster).maps[HOSTS] == {"a.com": "a.com", ".b.com": "*.b.com"}


def test_endpoints_and_paths_do_not_change_the_shape_and_settings_do() -> None:
    before = rendered(one())
    cluster = one()
    cluster.service("web", "10.0.0.2:80", "[fd00::1]:80", ipFamilies=["IPv6"])
    cluster.ingress("two", ("b.com/new", "web"))
    after = rendered(cluster)
    assert (after.shape, after.maps == before.maps) == (before.shape, False)
    (servers,) = after.servers.values()
    assert servers == {"fd00::1:80": "[fd00::1]:80"}
    assert rendered(one(proxy_body_size="1m")).shape != before.shape


def test_servers_of_sticky_backends_are_part_of_the_shape() -> None:
    cluster = one(affinity="cookie")
    before = rendered(cluster)
    cluster.service("web", "10.0.0.2:80")
    assert rendered(cluster).shape != before.shape
    assert before.servers == {}


def test_protocols_of_backends_are_options_of_servers() -> None:
    options = {}
    for protocol in ("HTTP", "HTTPS", "GRPC", "GRPCS"):
        (servers,) = rendered(one(backend_protocol=protocol)).servers.values()
        options[protocol] = servers["10.0.0.1:80"].removeprefix("10.0.0.1:80")
    assert options == {
        "HTTP": "",
        "HTTPS": " ssl verify none",
        "GRPC": " proto h2",
        "GRPCS": " ssl verify none alpn h2",
    }


def test_a_closed_ingress_says_nothing_else() -> None:
    text = rendered(one(auth_url="http://example.com", rewrite_target="/x")).files[CONFIGURATION]
    backend = text[text.index("\nbackend ") :]
    assert [line.strip() for line in backend.splitlines() if "http-request" in line] == [
        "http-request deny deny_status 503"
    ]


@given(
    annotations=st.dictionaries(st.sampled_from(sorted(_READERS)), TEXTS, max_size=6),
    host=st.one_of(st.just("a.com"), TEXTS.filter(lambda text: "/" not in text)),
    path=TEXTS,
    path_type=st.sampled_from(["Exact", "Prefix", "ImplementationSpecific"]),
    users=TEXTS,
)
def test_no_value_breaks_out_of_its_line(
    annotations: dict[str, str], host: str, path: str, path_type: str, users: str
) -> None:
    cluster = Cluster()
    cluster.service("web", "10.0.0.1:80")
    cluster.secret("users", auth=f"ann:{users}")
    cluster.ingress("one", (f"{host}/{path}", "web"), annotations=annotations, path_type=path_type)
    files = rendered(cluster).files
    text = files[CONFIGURATION]
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    assert text.splitlines() == text.split("\n")[: len(text.splitlines())]  # no other kind of line end
    assert all(line.count("'") % 2 == 0 and '"' not in line for line in text.splitlines())
    assert text.count("\n  server ") == text.count("\nbackend ") <= 1
    assert text.count("%[env") == 0
    for name in (HOSTS, EXACT, PREFIX, REGEX):
        assert all(len(line.split()) == 2 and line.isascii() for line in files[name].splitlines())
        assert len(files[name].splitlines()) <= 1


def test_a_map_is_told_in_commands_that_fit() -> None:
    entries = {f"a.com/{number:04}": "backend" for number in range(2000)}
    parts = list(batches(entries))
    assert max(map(len, parts)) <= 8_000
    assert "".join(parts) == "".join(f"{key} {value}\n" for key, value in entries.items())
    assert list(batches({})) == []
