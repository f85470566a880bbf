"""What pods leave on a worker host of a launched cluster: looked at before and after, and compared."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from kubelet.runtime.docker import names
from mini_cluster.cluster.layout import Layout

CGROUPS = Path("/sys/fs/cgroup")
NODES_OWN_GROUPS = ("kubepods", "burstable", "besteffort")
"""They stay; the engine makes them in some hierarchies with the first pod."""


def traces(layout: Layout, node: str) -> dict[str, set[str]]:
    """Lists everything on the host that is made for a pod or its containers, by kind."""
    paths, namespace = layout.node(node), f"--net=/var/run/netns/{layout.netns(node)}"
    rules = _run("nsenter", namespace, "iptables-save")
    links = json.loads(_run("nsenter", namespace, "ip", "-j", "link"))
    found = {
        "containers": set(_docker(layout, node, "ps", "--all", "--quiet", "--no-trunc")),
        "volumes": set(_docker(layout, node, "volume", "ls", "--quiet")),
        "folders": _entries(paths.kubelet_root / "pods"),
        "logs and layers": _entries(paths.docker_root / "containers"),
        "network namespaces": _entries(paths.docker_exec_root / "netns"),
        "links": {link["ifname"] for link in links},
        "packet rules": {re.sub(r"\[\d+:\d+\]", "", line) for line in rules.splitlines() if not line.startswith("#")},
        "mounts": {
            line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(paths.root) in line
        },
        "cgroups": set(),
    }
    for parent in (CGROUPS, *(CGROUPS / name for name in _entries(CGROUPS))):
        for folder, folders, _ in os.walk(parent / layout.cgroup.strip("/") / node):
            found["cgroups"] |= {str(Path(folder) / name) for name in folders if name not in NODES_OWN_GROUPS}
    return found


def added(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    """Returns what is there now and was not before."""
    return {kind: items - before[kind] for kind, items in after.items() if items - before[kind]}


def running_containers(layout: Layout, node: str) -> dict[tuple[str, str], list[str]]:
    """Returns (uid of the pod, name) -> ids of the containers that run; the sandbox has the name ""."""
    running: dict[tuple[str, str], list[str]] = {}
    ids = _docker(layout, node, "ps", "--quiet", "--no-trunc", "--filter", f"label={names.POD_UID}")
    for item in json.loads("\n".join(_docker(layout, node, "inspect", *ids))) if ids else []:
        labels = item["Config"]["Labels"]
        name = "" if labels[names.TYPE] == names.SANDBOX_TYPE else labels[names.CONTAINER_NAME]
        running.setdefault((labels[names.POD_UID], name), []).append(item["Id"])
    return running


def of_pod(layout: Layout, node: str, uid: str) -> list[str]:
    """Lists containers, volumes and folders of one pod."""
    label = f"label={names.POD_UID}={uid}"
    left = _docker(layout, node, "ps", "--all", "--quiet", "--filter", label)
    left += _docker(layout, node, "volume", "ls", "--quiet", "--filter", label)
    return left + [name for name in _entries(layout.node(node).kubelet_root / "pods") if name == uid]


def _docker(layout: Layout, node: str, *arguments: str) -> list[str]:
    return _run("docker", f"--host=unix://{layout.node(node).docker_socket}", *arguments).splitlines()


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _entries(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() else set()
