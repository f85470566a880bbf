"""The command line, and the configuration file behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeproxy.options import Options, parse
from kubeproxy.settings import PRIMARY, LocalTraffic, Mode, node_port_addresses

FILE = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: 10.244.0.0/16,fd00:244::/56
clientConnection: {kubeconfig: /etc/proxy.conf}
healthzBindAddress: "[::]:10256"
nodePortAddresses: [192.0.2.0/24]
nftables: {masqueradeBit: 15, masqueradeAll: true, syncPeriod: 1m, minSyncPeriod: 2s}
iptables: {masqueradeBit: 16}
"""


def configured(tmp_path: Path, text: str, *flags: str) -> Options:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return parse([f"--config={file}", *flags])


def test_a_file_sets_what_its_mode_says(tmp_path: Path) -> None:
    options = configured(tmp_path, FILE)
    assert (options.proxy_mode, options.kubeconfig, options.masquerade_bit) == (Mode.NFTABLES, "/etc/proxy.conf", 15)
    assert (options.masquerade_all, options.sync_seconds, options.min_sync_seconds) == (True, 60.0, 2.0)
    assert options.healthz_address == ("::", 10256)
    assert options.nodeport_addresses == ("192.0.2.0/24",)
    assert options.local_traffic(4, ()) == LocalTraffic("10.244.0.0/16")
    assert options.local_traffic(6, ()) == LocalTraffic("fd00:244::/56")


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    options = configured(tmp_path, FILE, "--proxy-mode=iptables", "--iptables-sync-period=5s")
    assert (options.proxy_mode, options.sync_seconds) == (Mode.IPTABLES, 5.0)


@pytest.mark.parametrize("text", ["kind: Other", FILE + "ipvs: {}\n", FILE.replace("nftables\n", "ipvs\n"), "}"])
def test_a_bad_file_ends_the_process(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        configured(tmp_path, text)
    assert capsys.readouterr().err


def test_local_traffic_is_told_as_asked_for() -> None:
    by_node = parse(["--detect-local-mode=NodeCIDR"])
    assert by_node.local_traffic(4, ("10.244.1.0/24",)) == LocalTraffic("10.244.1.0/24")
    assert by_node.local_traffic(6, ("10.244.1.0/24",)) is None
    bridge = parse(["--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cbr0"])
    assert bridge.local_traffic(6, ()) == LocalTraffic(interface="cbr0")
    prefix = parse(["--detect-local-mode=InterfaceNamePrefix", "--pod-interface-name-prefix=veth"])
    assert prefix.local_traffic(4, ()) == LocalTraffic(interface="veth*")
    for incomplete in ("BridgeInterface", "InterfaceNamePrefix"):
        with pytest.raises(SystemExit):
            parse([f"--detect-local-mode={incomplete}"])


def test_node_ports_answer_where_the_mode_says_by_default() -> None:
    assert parse([]).nodeport_addresses == ()
    assert parse(["--proxy-mode=nftables"]).nodeport_addresses == (PRIMARY,)
    assert not parse(["--proxy-mode=nftables"]).localhost_node_ports


def test_node_port_addresses_are_chosen_among_the_nodes_own() -> None:
    own, primary = ("192.0.2.5", "10.0.0.1", "fd00::5", "127.0.0.1"), ("10.0.0.1", "fd00::5")
    assert node_port_addresses((), own, primary, 4) is None
    assert node_port_addresses(("0.0.0.0/0",), own, primary, 4) is None
    assert node_port_addresses(("0.0.0.0/0",), own, primary, 6) == ()
    assert node_port_addresses(("192.0.2.0/24", "::/0"), own, primary, 4) == ("192.0.2.5",)
    assert node_port_addresses((PRIMARY,), (), primary, 4) == ("10.0.0.1",)
    assert node_port_addresses((PRIMARY,), (), primary, 6) == ("fd00::5",)
