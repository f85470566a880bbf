"""Tables, discovery, authentication, admission chains, allocators' pools and flags."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import orjson
import pytest

from apimachinery.catalogue import load_catalogue
from apimachinery.errors import BadRequest, Unauthorized
from apimachinery.model import encode
from apiserver.admission._plugin import Attributes, Chain, Lookup, Plugin, UnknownPlugin, enabled_plugins
from apiserver.auth.authenticator import Authenticator, TokenFileError, read_token_file
from apiserver.codec import tables
from apiserver.codec.body import decode_object
from apiserver.discovery.discovery import Discovery
from apiserver.handlers._shared import warning_headers
from apiserver.http.negotiation import TABLE, Wanted
from apiserver.main.app import all_subresources
from apiserver.main.options import parse_options
from apiserver.registry.claims.allocators import address_pool, port_pool
from apiserver.request.user import ANONYMOUS, User, user_of_subject
from apiserver.storage.interface import Entry
from apiserver.subresources.log import log_query
from kubeapi.core.configmap import RESOURCE as CONFIGMAPS
from kubeapi.core.node import RESOURCE as NODES
from kubeapi.core.pod.resource import RESOURCE as PODS

# Tables


def stored_pod(name: str) -> bytes:
    body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pod = decode_object(PODS, orjson.dumps(body))
    pod.metadata.resourceVersion = "7"
    pod.metadata.creationTimestamp = "2026-01-01T00:00:00Z"
    return encode(pod)


def test_a_table_of_one_object() -> None:
    table = orjson.loads(tables.transform_object(PODS, stored_pod("a"), Wanted(TABLE, "v1"), "Metadata"))
    assert (table["kind"], table["apiVersion"], table["metadata"]) == (
        "Table",
        "meta.k8s.io/v1",
        {"resourceVersion": "7"},
    )
    assert len(table["columnDefinitions"]) == len(table["rows"][0]["cells"])
    assert set(table["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
    assert table["rows"][0]["object"]["metadata"]["name"] == "a"


def test_a_table_of_many_comes_in_pieces() -> None:
    entries = [Entry("k", "n", f"p-{index}", index, stored_pod(f"p-{index}"), {}, {}) for index in range(250)]

    async def collect() -> list[bytes]:
        wanted = Wanted(TABLE, "v1")
        return [piece async for piece in tables.transform_list(PODS, entries, b'"resourceVersion":"9"', wanted, "None")]

    pieces = asyncio.run(collect())
    assert len(pieces) == 5
    table = orjson.loads(b"".join(pieces))
    assert [row["cells"][0] for row in table["rows"]] == [f"p-{index}" for index in range(250)]
    assert table["metadata"] == {"resourceVersion": "9"}


def test_include_object_is_one_of_three() -> None:
    assert [tables.include_object(text) for text in ("", "Metadata", "None", "Object")] == [
        "Metadata", "Metadata", "None", "Object",
    ]  # fmt: skip
    with pytest.raises(BadRequest):
        tables.include_object("all")


# Discovery


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    catalogue = load_catalogue()
    return Discovery(catalogue, all_subresources(catalogue).values(), "10.0.0.1:6443")


def test_every_kind_is_discovered_once(discovery: Discovery) -> None:
    for resource in load_catalogue():
        found = discovery.resource_list(resource.group, resource.version)
        assert found is not None
        assert [entry["kind"] for entry in found["resources"] if entry["name"] == resource.plural] == [resource.kind]
    groups = [group["name"] for group in discovery.group_list()["groups"]]
    assert groups[0] == "apps"
    assert len(set(groups)) == len(groups)
    assert "" not in groups


def test_plain_and_aggregated_discovery_say_the_same(discovery: Discovery) -> None:
    plain, aggregated = set(), set()
    for group in discovery.group_list()["groups"]:
        listed = discovery.resource_list(group["name"], "v1")
        assert listed is not None
        plain |= {(group["name"], entry["name"], tuple(entry["verbs"])) for entry in listed["resources"]}
    for item in orjson.loads(discovery.aggregated("apis", "v2"))["items"]:
        for version in item["versions"]:
            for entry in version["resources"]:
                group = item["metadata"]["name"]
                aggregated.add((group, entry["resource"], tuple(entry["verbs"])))
                for sub in entry.get("subresources", ()):
                    aggregated.add((group, f"{entry['resource']}/{sub['subresource']}", tuple(sub["verbs"])))
    assert plain == aggregated


# Identity


def test_a_token_file_names_users_and_groups(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text('t1,jane,u1\n\nt2, joe, u2, "a, b"\n')
    users = read_token_file(str(file))
    assert users[b"Bearer t1"] == User("jane", "u1", ("system:authenticated",))
    assert users[b"Bearer t2"] == User("joe", "u2", ("a", "b", "system:authenticated"))


@pytest.mark.parametrize("text", ["t1,jane", "t1", ",jane,u", "t1,,u"])
def test_a_bad_line_of_a_token_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text(f"ok,user,uid\n{text}\n")
    with pytest.raises(TokenFileError, match=r"tokens\.csv:2: "):
        read_token_file(str(file))


def test_a_certificates_subject_is_a_user() -> None:
    subject = ((("organizationName", "system:nodes"),), (("organizationName", "x"), ("commonName", "system:node:a")))
    assert user_of_subject(subject) == User("system:node:a", "", ("system:nodes", "x", "system:authenticated"))
    assert user_of_subject(((("organizationName", "x"),),)) is None
    assert user_of_subject(()) is None
    known = user_of_subject(subject, "0a")
    assert known is not None
    assert known.extra == (("authentication.kubernetes.io/credential-id", ("X509SHA256=0a",)),)


def test_tokens_come_before_certificates() -> None:
    jane, node = User("jane"), User("node")
    authenticator = Authenticator({b"Bearer t": jane})
    assert authenticator.authenticate([(b"authorization", b"Bearer t")], node) is jane
    assert authenticator.authenticate([(b"authorization", b" bearer   t ")], None) is jane
    assert authenticator.authenticate([(b"accept", b"*/*")], node) is node
    for headers in ([], [(b"authorization", b"Bearer x")], [(b"authorization", b"Basic t")], [(b"authorization", b"")]):
        with pytest.raises(Unauthorized):
            authenticator.authenticate(headers, node if headers else None)


# Admission


def attributes(resource: Any, obj: Any, operation: str = "CREATE", subresource: str = "") -> Attributes:
    return Attributes(operation, resource, subresource, "n", "x", obj, None, ANONYMOUS)


def test_steps_run_in_order_and_only_for_what_they_concern() -> None:
    seen: list[str] = []

    def step(name: str, **more: Any) -> Plugin:
        def note(attributes: Attributes, lookup: Lookup) -> None:
            seen.append(name)

        return Plugin(name, frozenset({"CREATE"}), mutate=note, **more)

    async def waiting(attributes: Attributes, lookup: Lookup) -> None:
        await asyncio.sleep(0)
        seen.append("checked")

    chain = Chain(
        [
            step("late", order=200),
            step("pods-only", resources=frozenset({"pods"})),
            step("first", order=0),
            Plugin("status", frozenset({"UPDATE"}), frozenset({"pods/status"}), validate=waiting),
        ],
        Lookup(None, {}),  # type: ignore[arg-type]
    )
    asyncio.run(chain.mutate(attributes(PODS, None)))
    assert seen == ["first", "pods-only", "late"]
    seen.clear()
    asyncio.run(chain.mutate(attributes(CONFIGMAPS, None)))
    assert seen == ["first", "late"]
    seen.clear()
    asyncio.run(chain.validate(attributes(PODS, None, "UPDATE")))
    asyncio.run(chain.validate(attributes(PODS, None, "UPDATE", "status")))
    assert seen == ["checked"]


def test_plugins_are_switched_by_name() -> None:
    names = {plugin.name for plugin in enabled_plugins([], [])}
    assert names >= {"NamespaceLifecycle", "ServiceAccount", "Priority", "TaintNodesByCondition"}
    assert names - {plugin.name for plugin in enabled_plugins(["Priority"], [])} == {"Priority"}
    assert {plugin.name for plugin in enabled_plugins(["Priority"], ["Priority"])} == names
    with pytest.raises(UnknownPlugin, match="Nothing"):
        enabled_plugins(["Nothing"], [])


def test_what_a_client_set_stays() -> None:
    spec = {
        "containers": [{"name": "c", "image": "i"}], "serviceAccountName": "mine",
        "imagePullSecrets": [{"name": "own"}], "automountServiceAccountToken": False,
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
    }  # fmt: skip
    pod = decode_object(PODS, orjson.dumps({"metadata": {"name": "p"}, "spec": spec}))
    chain = Chain(enabled_plugins(["NamespaceLifecycle", "Priority"], []), Lookup(None, {}))  # type: ignore[arg-type]
    asyncio.run(chain.mutate(attributes(PODS, pod)))
    assert pod.spec.serviceAccountName == "mine"
    assert [secret.name for secret in pod.spec.imagePullSecrets or ()] == ["own"]
    keys = [toleration.key for toleration in pod.spec.tolerations or ()]
    assert keys == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    node = decode_object(NODES, b'{"metadata":{"name":"n"},"spec":{"taints":[{"key":"a","effect":"NoExecute"}]}}')
    asyncio.run(chain.mutate(attributes(NODES, node)))
    assert [taint.key for taint in node.spec.taints or ()] == ["a", "node.kubernetes.io/not-ready"]


# Pools


def test_a_pool_of_addresses_leaves_out_what_is_not_for_services() -> None:
    pool = address_pool(IPv4Network("10.0.0.0/24"))
    values = [pool.value(index) for index in range(pool.size)]
    assert (values[0], values[-1], len(set(values))) == ("10.0.0.2", "10.0.0.254", 253)
    assert pool.static_size == 16
    assert all(map(pool.contains, values))
    assert pool.contains("10.0.0.1")
    for other in ("10.0.0.0", "10.0.0.255", "10.0.1.1", "x", "", "::1", "10.0.0.2/32"):
        assert not pool.contains(other)
    assert address_pool(IPv4Network("10.0.0.0/16")).static_size == 256


def test_a_pool_of_ports() -> None:
    pool = port_pool(range(30000, 32768))
    assert (pool.size, pool.static_size, pool.value(0), pool.shown) == (2768, 86, "30000", "30000-32767")
    assert pool.contains("32767")
    assert not any(map(pool.contains, ("29999", "32768", "x", "-1")))


# Small things


def test_warnings_are_quoted_once_and_bounded() -> None:
    assert warning_headers([]) is None
    assert warning_headers(['a "b"', 'a "b"', "line\nbreak\\"]) == [
        (b"warning", rb'299 - "a \"b\""'),
        (b"warning", rb'299 - "line break\\"'),
    ]
    assert len(warning_headers([str(index) + "x" * 100 for index in range(100)]) or []) < 50


def test_the_options_of_a_log() -> None:
    given = {"follow": ["true"], "tailLines": ["0"], "sinceSeconds": ["5"], "timestamps": ["1"], "previous": ["false"]}
    assert log_query(given, "p") == "follow=true&timestamps=true&sinceSeconds=5&tailLines=0"


def test_flags_have_upstreams_defaults() -> None:
    options = parse_options([])
    assert (options.secure_port, options.service_node_ports, options.event_ttl_seconds) == (
        6443, range(30000, 32768), 3600,
    )  # fmt: skip
    assert str(options.service_cluster_ip_range) == "10.96.0.0/16"
    options = parse_options(["--etcd-servers=http://a:1,http://b:2", "--service-node-port-range=100-200"])
    assert (options.etcd_servers, options.service_node_ports) == (["http://a:1", "http://b:2"], range(100, 201))


@pytest.mark.parametrize(
    "flags",
    [
        ["--authorization-mode=RBAC"], ["--authorization-mode=Node,RBAC"], ["--service-cluster-ip-range=10.0.0.0/30"],
        ["--service-cluster-ip-range=fd00::/64"], ["--service-node-port-range=5"], ["--tls-cert-file=x"],
        ["--kubelet-client-key=x"], ["--unknown"], ["--event-ttl=5"],
    ],
)  # fmt: skip
def test_flags_that_can_not_be_used_end_the_process(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options(flags)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err
