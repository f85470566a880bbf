"""What the spec of a pod says about rights, names and resolvers, seen from inside real containers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import IMAGE, container, pod, web_container

pytestmark = pytest.mark.cluster

SECONDS = 60.0
UNCONFINED = {"type": "Unconfined"}


def run(mk: CommandLine, name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, str]:
    """The output of each container, once all of the pod has ended well."""
    mk.apply(pod(name, *containers, restartPolicy="Never", **spec))
    return outputs(mk, name, *containers)


def outputs(mk: CommandLine, name: str, *containers: dict[str, Any]) -> dict[str, str]:
    """The same of a pod that was applied before."""

    def phase() -> str:
        found: str = mk.get("pod", name)["status"].get("phase", "")
        return found if found in ("Succeeded", "Failed") else ""

    ended = eventually(phase, f"{name} has ended", SECONDS)
    logs = {item["name"]: mk.run("logs", name, "-c", item["name"]) for item in containers}
    assert ended == "Succeeded", (logs, mk.get("pod", name)["status"])
    return logs


def shell(name: str, text: str, **fields: Any) -> dict[str, Any]:
    return container("sh", "-c", text, name=name, **fields)


def fields(status: str) -> dict[str, str]:
    """/proc/self/status by field name."""
    return {key: value.strip() for key, _, value in (line.partition(":") for line in status.splitlines())}


def test_every_container_has_the_rights_that_it_asks_for(mk: CommandLine) -> None:
    drop = {"drop": ["ALL"]}
    logs = run(
        mk,
        "rights",
        shell("pods", "id; cat /proc/self/status; touch /new 2>&1; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"),
        shell(
            "own",
            "touch /new 2>&1; cat /proc/self/status",
            securityContext={
                "runAsUser": 0,
                "runAsGroup": 0,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {**drop, "add": ["NET_BIND_SERVICE"]},
                "seccompProfile": UNCONFINED,
            },
        ),
        securityContext={
            "runAsUser": 1000,
            "runAsGroup": 3000,
            "runAsNonRoot": False,
            "fsGroup": 5000,
            "supplementalGroups": [4000],
            "supplementalGroupsPolicy": "Strict",
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "1"}],
        },
    )
    assert "uid=1000 gid=3000 groups=3000,4000,5000" in logs["pods"]
    assert "Permission denied" in logs["pods"]
    assert logs["pods"].endswith("\n1\n")
    assert fields(logs["pods"])["Seccomp"] == "2"
    own = fields(logs["own"])
    assert "Read-only file system" in logs["own"]
    assert (own["CapEff"], own["NoNewPrivs"], own["Seccomp"]) == ("0000000000000400", "1", "0")
    users = {item["name"]: item["user"]["linux"] for item in mk.get("pod", "rights")["status"]["containerStatuses"]}
    assert users["pods"] == {"uid": 1000, "gid": 3000, "supplementalGroups": [3000, 4000, 5000]}
    assert users["own"] == {"uid": 0, "gid": 0, "supplementalGroups": [0, 4000, 5000]}


def test_a_pod_has_the_names_and_the_resolver_that_it_asks_for(mk: CommandLine) -> None:
    text = "hostname; cat /etc/hosts /etc/resolv.conf"
    logs = run(
        mk,
        "names",
        shell("app", text),
        hostname="db-0",
        subdomain="db",
        setHostnameAsFQDN=True,
        hostAliases=[{"ip": "10.1.2.3", "hostnames": ["a.example", "b.example"]}],
        dnsPolicy="None",
        dnsConfig={
            "nameservers": ["9.9.9.9"],
            "searches": ["x.example", "y.example"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
        },
    )
    hostname, *lines = logs["app"].splitlines()
    fqdn = f"db-0.db.{mk.namespace}.svc.cluster.local"
    assert hostname == (fqdn if len(fqdn) <= 64 else hostname)
    ip = mk.get("pod", "names")["status"]["podIP"]
    assert f"{ip}\t{fqdn}\tdb-0" in lines
    assert lines[lines.index("# Entries added by HostAliases.") + 1] == "10.1.2.3\ta.example\tb.example"
    assert "search x.example y.example" in lines
    assert "nameserver 9.9.9.9" in lines
    assert "options ndots:2 edns0" in lines


def test_namespaces_of_the_host_and_of_the_pod(mk: CommandLine, cluster: ClusterHandle) -> None:
    shared = (shell("one", "while ! ps | grep -q 'slee[p] 2'; do sleep 0.1; done; ps"), shell("two", "sleep 2; true"))
    mk.apply(pod("shared", *shared, restartPolicy="Never", shareProcessNamespace=True))
    host = run(
        mk,
        "host",
        shell("app", "ps; cat /proc/net/fib_trie; cat /etc/hosts; ls /proc/sys/fs/mqueue"),
        hostPID=True,
        hostIPC=True,
        hostNetwork=True,
        nodeName="worker-1",
    )
    assert "kubelet" in host["app"]
    assert cluster.node_ips["worker-1"] in host["app"]
    assert "# Kubernetes-managed hosts file (host network)." in host["app"]
    assert "/pause" in outputs(mk, "shared", *shared)["one"]


FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode(), end='')"


def test_host_ports_are_the_nodes(mk: CommandLine, cluster: ClusterHandle) -> None:
    node_ip, netns = cluster.node_ips["worker-1"], cluster.cluster.layout.netns("worker-1")
    ports = [{"containerPort": 8080, "hostPort": 18080}, {"containerPort": 8080, "hostPort": 18081, "hostIP": node_ip}]
    mk.apply(pod("web", web_container() | {"ports": ports}, nodeName="worker-1"))
    mk.run("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    mk.apply(pod("second", container(ports=ports[:1]), nodeName="worker-1"))

    def asked(address: str, port: int) -> str:
        """What the pod answers to a process on its node."""
        inside = ["nsenter", f"--net=/var/run/netns/{netns}", sys.executable, "-c", FETCH]
        return subprocess.run(
            [*inside, f"http://{address}:{port}/ok"], capture_output=True, text=True, check=False
        ).stdout

    def all_answer() -> bool:
        return all(asked(*place) == "ok\n" for place in ((node_ip, 18080), (node_ip, 18081), ("127.0.0.1", 18080)))

    eventually(all_answer, "every port answers", SECONDS)
    assert asked("127.0.0.1", 18081) == ""
    refused = eventually(lambda: mk.get("pod", "second")["status"].get("reason"), "the second is refused", SECONDS)
    assert refused == "NodePorts"


def waiting(mk: CommandLine, name: str) -> dict[str, Any]:
    statuses = mk.get("pod", name)["status"].get("containerStatuses") or [{}]
    state: dict[str, Any] = statuses[0].get("state", {}).get("waiting", {})
    return state


def events(mk: CommandLine, name: str) -> dict[str, str]:
    found = mk.get("events")["items"]
    return {item["reason"]: item["message"] for item in found if item["involvedObject"]["name"] == name}


def test_what_the_node_cannot_give_is_told(mk: CommandLine) -> None:
    sysctl = {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}
    mk.apply(pod("sysctl", securityContext=sysctl))
    mk.apply(pod("armoured", securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}))
    mk.apply(pod("users", hostUsers=False))
    localhost = {"seccompProfile": {"type": "Localhost", "localhostProfile": "none.json"}}
    mk.apply(pod("seccomp", container(securityContext=localhost)))
    mk.apply(pod("root", container(securityContext={"runAsNonRoot": True})))
    mk.apply(pod("long", hostname="h" * 60, subdomain="db", setHostnameAsFQDN=True))
    mk.apply(pod("privileged", container(securityContext={"privileged": True})))

    def failed(name: str) -> dict[str, Any]:
        status: dict[str, Any] = mk.get("pod", name)["status"]
        return status if status.get("phase") == "Failed" else {}

    refused = eventually(lambda: failed("sysctl"), "the sysctl is refused", SECONDS)
    assert refused["reason"] == "SysctlForbidden"
    assert refused["message"] == 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'
    refused = eventually(lambda: failed("armoured"), "AppArmor is refused", SECONDS)
    assert (refused["reason"], "Cannot enforce AppArmor" in refused["message"]) == ("AppArmor", True)
    for name, words in (("users", "does not support user namespaces"), ("long", "FQDN from pod hostname")):
        message = eventually(lambda name=name: events(mk, name).get("FailedCreatePodSandBox"), name, SECONDS)
        assert words in message
    eventually(lambda: waiting(mk, "root").get("reason") == "CreateContainerConfigError", "root is refused", SECONDS)
    assert "container has runAsNonRoot and image will run as root" in waiting(mk, "root")["message"]
    eventually(lambda: waiting(mk, "seccomp").get("reason") == "CreateContainerError", "no profile", SECONDS)
    said = eventually(lambda: events(mk, "seccomp").get("Failed"), "the event, which is written later", SECONDS)
    assert "cannot load seccomp profile" in said
    mk.run("wait", "--for=condition=Ready", "pod/privileged", "--timeout=60s")
    told = events(mk, "privileged").get("SecurityContextNotEnforced", "privileged:")  # a host that can, tells nothing
    assert told.startswith("privileged:")


def test_a_file_in_the_nodes_folder_is_a_static_pod(mk: CommandLine, cluster: ClusterHandle) -> None:
    folder = cluster.cluster.layout.node("worker-1").manifests
    name = f"static-{mk.namespace}"
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {mk.namespace}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: app, image: {IMAGE}, command: [sh, -c, "echo static; sleep 1000"]}}]
"""
    file = folder / f"{name}.yaml"
    file.write_text(text)
    try:
        mirror = f"{name}-worker-1"
        eventually(lambda: mk.try_run("get", "pod", mirror).returncode == 0, "the mirror is there", SECONDS)
        mk.run("wait", "--for=condition=Ready", f"pod/{mirror}", "--timeout=60s")
        eventually(lambda: mk.run("logs", mirror) == "static\n", "its line is logged", SECONDS)
        assert mk.run("exec", mirror, "--", "echo", "in it") == "in it\n"
        eventually(lambda: "Started container app" in mk.run("describe", "pod", mirror), "its events are told", SECONDS)
        first = mk.get("pod", mirror)["metadata"]["uid"]
        mk.run("delete", "pod", mirror, "--wait=false")
        eventually(lambda: mk.get("pod", mirror)["metadata"]["uid"] != first, "the mirror is back", SECONDS)
    finally:
        file.unlink()
    eventually(lambda: mk.try_run("get", "pod", mirror).returncode != 0, "the mirror is gone", SECONDS)
