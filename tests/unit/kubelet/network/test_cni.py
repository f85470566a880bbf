"""CNI network configurations, and what plugins are told."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from kubelet.network.cni.config import capabilities, load_list, parse_list, result_addresses
from kubelet.network.cni.plugins import CniPlugins
from kubelet.network.plug import PlugError
from kubelet.runtime.configs import Bandwidth, PodRef, PortMapping
from kubelet.runtime.network import NetworkRequest

LIST: dict[str, Any] = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [{"type": "one", "x": 1, "capabilities": {"portMappings": True, "bandwidth": False}}, {"type": "two"}],
}
PORTS = (PortMapping(8080, 80), PortMapping(53, 5353, "UDP", "10.0.0.1"))
REQUEST = NetworkRequest("c" * 64, PodRef("u", "ns", "web"), "/proc/self/ns/net", PORTS, Bandwidth(1000, 2000))
TOLD = capabilities(REQUEST, ["10.1.0.0/24", "fd01::/64"])


def test_plugins_are_told_what_they_ask_for() -> None:
    assert TOLD == {
        "portMappings": [
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 53, "containerPort": 5353, "protocol": "udp", "hostIP": "10.0.0.1"},
        ],
        "bandwidth": {"ingressRate": 1000, "ingressBurst": 1000, "egressRate": 2000, "egressBurst": 2000},
        "ipRanges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]],
    }
    network = parse_list(LIST, whole=True)
    one, two = network.plugins
    head = {"cniVersion": "1.0.0", "name": "pods"}
    runtime = {"portMappings": TOLD["portMappings"]}
    assert network.plugin_config(one, TOLD, None) == head | {"type": "one", "x": 1, "runtimeConfig": runtime}
    assert network.plugin_config(two, TOLD, None) == head | {"type": "two"}
    assert network.plugin_config(two, TOLD, {"ips": [1]})["prevResult"] == {"ips": [1]}
    assert (network.offers("portMappings"), network.offers("bandwidth")) == (True, False)


@pytest.mark.parametrize(
    ("change", "checks"), [({}, True), ({"disableCheck": True}, False), ({"cniVersion": "0.3.1"}, False)]
)
def test_lists_may_be_checked_since_0_4_unless_they_say_no(change: dict[str, Any], checks: bool) -> None:
    assert parse_list(LIST | change, whole=True).checks is checks


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "not an object"),
        (LIST | {"cniVersion": "9.9.9"}, "cniVersion '9.9.9' is none of"),
        (LIST | {"name": ""}, "has no name"),
        (LIST | {"plugins": []}, "no plugins in list"),
        (LIST | {"plugins": [{"type": "../sh"}]}, "not the name of a program"),
        (LIST | {"plugins": ["one"]}, "not the name of a program"),
    ],
)
def test_what_is_no_network_is_refused(document: Any, why: str) -> None:
    with pytest.raises(PlugError, match=why):
        parse_list(document, whole=True)


def test_the_first_good_file_is_the_network(tmp_path: Path) -> None:
    with pytest.raises(PlugError, match="no network config found"):
        load_list(str(tmp_path))
    (tmp_path / "05-bad.conf").write_text("{")
    (tmp_path / "00-notes.txt").write_text("{}")
    with pytest.raises(PlugError, match=re.escape("05-bad.conf")):
        load_list(str(tmp_path))
    (tmp_path / "20-list.conflist").write_text(json.dumps(LIST))
    assert load_list(str(tmp_path)).name == "pods"
    (tmp_path / "10-one.conf").write_text(json.dumps({"cniVersion": "0.4.0", "name": "alone", "type": "one"}))
    assert [plugin["type"] for plugin in load_list(str(tmp_path)).plugins] == ["one"]


def test_a_result_without_addresses_is_an_error() -> None:
    assert result_addresses({"ips": [{"address": "10.1.0.2/24"}, {"address": "fd01::2/64"}]}) == (
        "10.1.0.2",
        "fd01::2",
    )
    for result in ({}, {"ips": []}, {"ips": [{}]}):
        with pytest.raises(PlugError):
            result_addresses(result)


PLUGIN = """#!/bin/sh
config=$(cat)
echo "$CNI_COMMAND {name} $CNI_CONTAINERID $CNI_IFNAME [$CNI_NETNS] $CNI_ARGS $config" >>{log}
[ ! -e {log}.fail ] || { echo '{"code": 7, "msg": "broken", "details": "by hand"}'; exit 1; }
[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}]}'
"""


async def test_plugins_run_in_order_and_backwards_at_the_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name in ("one", "two"):
        file = tmp_path / name
        file.write_text(PLUGIN.replace("{log}", str(log)).replace("{name}", name))
        file.chmod(0o755)
    (tmp_path / "10.conflist").write_text(json.dumps(LIST))
    plugins = CniPlugins(str(tmp_path), ("/nowhere", str(tmp_path)))
    assert plugins.problem() == ""
    done = await plugins.add(plugins.reserve(REQUEST, ()))
    assert done.addresses == ("10.1.0.2",)
    await plugins.check(done)
    await plugins.delete(done)
    lines = log.read_text().splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ADD", "one"], ["ADD", "two"], ["CHECK", "one"], ["CHECK", "two"], ["DEL", "two"], ["DEL", "one"],
    ]  # fmt: skip
    assert f" {'c' * 64} eth0 [/proc/self/ns/net] IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web;" in lines[0]
    assert "prevResult" not in lines[0]
    assert all("prevResult" in line for line in lines[1:])
    Path(f"{log}.fail").touch()
    with pytest.raises(PlugError, match=r'plugin type="one" failed \(add\): broken; by hand'):
        await plugins.add(plugins.reserve(REQUEST, ()))
    (tmp_path / "one").write_text("#!/bin/sh\necho '[1]'\n")
    with pytest.raises(PlugError, match=r'plugin type="one" failed \(add\): what it printed is not an object'):
        await plugins.add(plugins.reserve(REQUEST, ()))
    (tmp_path / "one").unlink()
    assert plugins.problem() == f"failed to find plugin \"one\" in path ['/nowhere', '{tmp_path}']"
    follows = asyncio.ensure_future(plugins.follow(lambda: ()))
    follows.cancel()
