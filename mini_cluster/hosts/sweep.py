"""Removes everything that a cluster, or one of its worker hosts, has on the machine, without asking for cooperation.

A host loses its power here: its daemons, its engine and all containers are killed at once, then mounts, sockets and
cgroups go. The same code runs after an orderly stop, after a crash, and after a start that came half-way.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from componentbase.host.mountinfo import mount_table
from mini_cluster.cluster.layout import Layout, NodeLayout
from mini_cluster.cluster.state import MAX_NODES, NodeState
from mini_cluster.cluster.worker_host import node_component_names
from mini_cluster.errors import LauncherError
from mini_cluster.hosts import network as hosts
from mini_cluster.machine.commands import run
from mini_cluster.machine.processes import Process, kill_all, snapshot, with_descendants

CGROUPS = Path("/sys/fs/cgroup")
CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


class SweepError(LauncherError):
    """Something could not be removed."""


def host_processes(
    processes: Mapping[int, Process], cluster: str, node: str, *, netns: int, exec_root: str, cgroup: str,
    containers: set[str],
) -> set[int]:  # fmt: skip
    """Returns everything that runs on a worker host.

    That is: its components by their mark, the processes in its network namespace, its engine's helpers (they name the
    engine's folder on their command line), its containers, and all descendants of these.
    """
    names = node_component_names(node)
    roots = {
        process.pid
        for process in processes.values()
        if (process.cluster == cluster and process.component in names)
        or (netns and process.netns == netns)
        or any(argument.startswith(f"{exec_root}/") for argument in process.argv)
        or f"{cgroup}/" in process.cgroups
        or (containers and any(container in containers for container in CONTAINER_ID.findall(process.cgroups)))
    }
    return with_descendants(processes, roots)


def cluster_processes(processes: Mapping[int, Process], cluster: str) -> set[int]:
    """Returns every process marked as the cluster's, and their descendants."""
    roots = {process.pid for process in processes.values() if process.cluster == cluster}
    return with_descendants(processes, roots)


def power_off(layout: Layout, node: NodeState) -> None:
    """Ends a worker host as if its power was cut, and takes its network away. Its disk stays.

    Raises: SweepError, MachineCommandError.
    """
    paths = layout.node(node.name)
    netns = hosts.netns_inode(layout.netns(node.name))
    containers = _container_ids(paths)

    def doomed(processes: Mapping[int, Process]) -> set[int]:
        return host_processes(
            processes,
            layout.key,
            node.name,
            netns=netns,
            exec_root=str(paths.docker_exec_root),
            cgroup=f"{layout.cgroup}/{node.name}",
            containers=containers,
        )

    left = kill_all(doomed)
    if left:
        raise SweepError(f"{left} processes of {node.name} do not die (see `ps` for state D)")
    release_host(layout, node)


def release_host(layout: Layout, node: NodeState) -> None:
    """Removes what a host without processes still holds: mounts, sockets, cgroups, its network."""
    paths = layout.node(node.name)
    unmount_below([paths.run, paths.root])
    _remove_shim_sockets(paths)
    if paths.run.exists():
        shutil.rmtree(paths.run)
    remove_cgroups(f"{layout.cgroup}/{node.name}")
    hosts.remove_host(layout, node)


def clear_engine(layout: Layout, node: NodeState) -> None:
    """Removes what a killed engine leaves and the next one does not take over; its running containers stay.

    Its containerd dies with it, but may be a zombie for a while, and the next engine would take that for a live one. A
    container that it was just starting runs, but was not noted as running yet: the next engine would never know of it,
    and give its address to another container, so that both answer.
    """
    paths = layout.node(node.name)
    config = f"{paths.docker_exec_root}/containerd/containerd.toml"
    running = running_containers(paths.docker_root)
    kill_all(
        lambda processes: (
            {pid for pid, process in processes.items() if config in process.argv}
            | orphaned_shims(processes, str(paths.docker_exec_root), running)
        )
    )
    for pidfile in (paths.docker_pidfile, paths.docker_exec_root / "containerd" / "containerd.pid"):
        pidfile.unlink(missing_ok=True)


def orphaned_shims(processes: Mapping[int, Process], exec_root: str, running: set[str]) -> set[int]:
    """Returns the shims of the engine in `exec_root` for other containers than `running`, and all below them."""
    socket = f"{exec_root}/containerd/containerd.sock"
    shims = {
        pid
        for pid, process in processes.items()
        if socket in process.argv and "-id" in process.argv and running.isdisjoint(process.argv)
    }
    return with_descendants(processes, shims)


def running_containers(docker_root: Path) -> set[str]:
    """Returns the ids of the containers that the engine will take for running when it starts next."""
    return {file.parent.name for file in docker_root.glob("containers/*/config.v2.json") if _is_running(file)}


def _is_running(config: Path) -> bool:
    try:
        return bool(json.loads(config.read_bytes())["State"]["Running"])
    except (OSError, ValueError, KeyError, TypeError):
        return False  # the engine does not read such a container either


def sweep_cluster(layout: Layout) -> None:
    """Ends every process of the cluster and removes everything of it but its folder.

    It asks the machine, not the state file, what is there. Without root a cluster never had worker hosts.
    Raises: SweepError, MachineCommandError.
    """
    left = kill_all(lambda processes: cluster_processes(processes, layout.key))
    if left:
        raise SweepError(f"{left} processes do not die (see `ps` for state D)")
    if os.geteuid() == 0:
        for node in (NodeState(index) for index in range(1, MAX_NODES + 1)):
            if layout.node(node.name).root.exists() or (hosts.NETNS_FOLDER / layout.netns(node.name)).exists():
                power_off(layout, node)
        remove_cgroups(layout.cgroup)
        hosts.remove_machine(layout)
    if layout.run.exists():
        shutil.rmtree(layout.run)


def what_is_left(layout: Layout) -> list[str]:
    """Lists everything of the cluster that is still on the machine: for tests, and for `down` to tell the truth."""
    processes = snapshot()
    remains = [f"process {pid} {' '.join(processes[pid].argv)}" for pid in cluster_processes(processes, layout.key)]
    remains += [f"link {name}" for name in os.listdir("/sys/class/net") if name.startswith(layout.bridge)]
    remains += [f"netns {name}" for name in hosts.list_netns(layout)]
    remains += [f"mount {target}" for target in mounts_below([layout.run, layout.root])]
    remains += [f"cgroup {path}" for path in _cgroup_folders(layout.cgroup)]
    remains += [f"route {destination}" for destination in hosts.list_unreachable_routes(layout)]
    remains += [f"route {destination}" for destination, _ in hosts.list_routes_elsewhere(layout)]
    remains += [f"address {address}" for address in hosts.list_dns_addresses(layout)]
    if layout.run.exists():
        remains.append(f"folder {layout.run}")
    if os.geteuid() == 0:
        remains += [f"rule {program} {table} {' '.join(rule)}" for program, table, rule in hosts.list_rules(layout)]
    return remains


def mounts_below(folders: Iterable[Path]) -> list[str]:
    """Mount points at or below the folders, innermost first."""
    prefixes = tuple(f"{folder}/" for folder in folders)
    return [entry.path for entry in reversed(mount_table()) if f"{entry.path}/".startswith(prefixes)]


def unmount_below(folders: Iterable[Path]) -> None:
    """Unmounts everything at or below the folders. Raises: MachineCommandError."""
    for target in mounts_below(folders):
        run(["umount", "--lazy", target])


def _container_ids(paths: NodeLayout) -> set[str]:
    folder = paths.docker_root / "containers"
    return set(os.listdir(folder)) if folder.is_dir() else set()


def _remove_shim_sockets(paths: NodeLayout) -> None:
    """Removes the sockets of containerd's shims, which are outside the engine's folder; `address` files name them."""
    for address in paths.docker_exec_root.glob("containerd/daemon/io.containerd.runtime.v2.task/*/*/address"):
        socket = Path(address.read_text().removeprefix("unix://"))
        socket.unlink(missing_ok=True)


def _cgroup_folders(cgroup: str) -> list[Path]:
    """Returns the cgroup's folder in each hierarchy (one with cgroup v2, several with v1)."""
    if not CGROUPS.is_dir():
        return []
    hierarchies = [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())]
    return [path for path in (hierarchy / cgroup.lstrip("/") for hierarchy in hierarchies) if path.is_dir()]


def remove_cgroups(cgroup: str) -> None:
    """Removes a cgroup and those below it from every hierarchy; one that is still in use stays."""
    for top in _cgroup_folders(cgroup):
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)
