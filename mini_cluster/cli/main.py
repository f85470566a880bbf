"""`mini-cluster`: the launcher's command line."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from apimachinery.times import human_duration
from componentbase.flags import parse_duration
from mini_cluster.cli.commands import Commands, Run
from mini_cluster.cli.etcd import add_etcd_commands
from mini_cluster.cli.join import add_join_commands
from mini_cluster.cluster.components import explain_scheduling
from mini_cluster.cluster.families import IP_FAMILIES
from mini_cluster.cluster.layout import DEFAULT_FOLDER
from mini_cluster.cluster.registry import registry_host
from mini_cluster.cluster.state import (
    DEFAULT_API_PORT,
    DEFAULT_GROUP,
    DEFAULT_NODES,
    ETCD_MEMBER_COUNTS,
    MAX_NODES,
    OVERLAY_MODES,
    PROXY_MODES,
    HostGroup,
    StateError,
)
from mini_cluster.console import DIM, GREEN, RED, YELLOW, Cell, Console
from mini_cluster.errors import LauncherError
from mini_cluster.launcher import Cluster
from mini_cluster.machine.logview import log_names, show_log
from mini_cluster.machine.programs import find_programs
from mini_cluster.machine.resources import offered_resources
from mini_cluster.supervision.keeper import READY
from mini_cluster.view import ClusterView

DESCRIPTION = """\
Runs a Kubernetes cluster on this machine, each component a process of its own.

The control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) runs directly on the machine. Each
worker host is a network namespace with its own container engine, kubelet, kube-proxy and kube-dns.
"""

EPILOG = """\
examples:
  mini-cluster up                          two worker hosts; the same again repairs whatever is broken
  mini-cluster up --nodes 0                an API without worker hosts: neither root nor Docker is needed
  export KUBECONFIG=$PWD/.cluster/kubeconfig
  kubectl get nodes                        or mini-kubectl
  mini-cluster load image web:1.0          from this machine's engine onto every node
  mini-cluster logs -f kubelet-worker-1
  mini-cluster explain-scheduling web-0    why each node was refused, or how it scored
  mini-cluster node stop worker-2          as if its power was cut
  mini-cluster node add                    one host more; `node remove worker-3` takes it away again
  mini-cluster join-command                a line that makes another machine a worker host
  mini-cluster etcd snapshot save all.db   every object, in one file; `snapshot restore` brings them back
  mini-cluster down                        ends everything; data stays in the folder for the next up
  mini-cluster down --purge                the folder goes, too

Everything about the cluster is in one folder (--dir, by default ./.cluster), and several clusters live side by side.
--dir and --quiet may stand before the command or after it.
"""


def parser() -> argparse.ArgumentParser:
    """Defines the command line. Each command stores its function as `run`."""
    top = argparse.ArgumentParser(
        prog="mini-cluster",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # Without a default of its own, a command leaves alone what was given before it.
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for options in (top, shared):
        options.add_argument("--dir", metavar="FOLDER", help=f"the cluster's folder ({DEFAULT_FOLDER})")
        options.add_argument("-q", "--quiet", action="store_true", help="no progress, only errors")
    top.set_defaults(dir=DEFAULT_FOLDER, quiet=False)
    commands = Commands(top, shared, "commands")
    add = commands.add
    _add_up_flags(add("up", _up, "bring the cluster up, or repair it; returns when every node is Ready"))
    down = add("down", _down, "end everything and leave nothing on the machine but the cluster's folder")
    down.add_argument(
        "--purge", action="store_true", help="delete the folder, too: objects, images, certificates, logs"
    )
    down.add_argument("--now", action="store_true", help="cut the hosts' power: pods have no time to end")
    status = add("status", _status, "show components and nodes; exit code 1 unless all is well")
    status.add_argument("-o", "--output", choices=("table", "json"), default="table")
    logs = add("logs", _logs, "show a component's log; without a component, list them")
    logs.add_argument("component", nargs="?", metavar="COMPONENT")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as the log grows")
    logs.add_argument("-n", "--tail", type=int, default=200, metavar="LINES", help="last lines (%(default)s; -1: all)")
    restart = add("restart", _restart, "end and start components, for example after a change of their code")
    restart.add_argument("components", nargs="*", metavar="COMPONENT", help="by default all but container engines")
    explain = add("explain-scheduling", _explain_scheduling, "show why each node was refused for a pod, or its score")
    explain.add_argument("pod", metavar="POD")
    explain.add_argument("-n", "--namespace", default="default", help="the pod's namespace (%(default)s)")
    _add_node_commands(commands)
    add_join_commands(commands)
    _add_load_commands(commands)
    add_etcd_commands(commands)
    return top


def _add_up_flags(up: argparse.ArgumentParser) -> None:
    up.add_argument(
        "--nodes",
        type=_node_count,
        metavar="N",
        help=f"worker hosts, 0 to {MAX_NODES} (by default those that the cluster has; {DEFAULT_NODES} for a new one)",
    )
    up.add_argument(
        "--api-port",
        type=int,
        default=DEFAULT_API_PORT,
        metavar="PORT",
        help="the API server's port in a new cluster (%(default)s, or another when that is in use; 0 for any)",
    )
    up.add_argument(
        "--etcd-members",
        type=int,
        choices=ETCD_MEMBER_COUNTS,
        metavar="N",
        help="processes that keep a new cluster's data: 1 (the default), or 3 or 5, of which a minority may be lost",
    )
    up.add_argument(
        "--ip-family",
        choices=tuple(IP_FAMILIES),
        help="the addresses that nodes, pods and Services of a new cluster have: ipv4 (the default), ipv6 or both",
    )
    up.add_argument(
        "--registry",
        action="store_true",
        help="run an image registry, which this machine and every node reach as localhost:5001; it stays until --purge",
    )
    up.add_argument(
        "--cloud",
        action="store_true",
        help="have a cloud-controller-manager look after the worker hosts, as a cloud's (stays on)",
    )
    up.add_argument(
        "--proxy-mode",
        choices=PROXY_MODES,
        metavar="MODE",
        help=f"kube-proxy's packet rules: {' or '.join(PROXY_MODES)} (by default as before, and the first at first)",
    )
    up.add_argument(
        "--overlay",
        choices=OVERLAY_MODES,
        metavar="MODE",
        help=f"whether pods of two hosts reach each other by VXLAN: {' or '.join(OVERLAY_MODES)} (by default "
        "as before, and the first at first)",
    )
    _add_growth_flags(up)


def _add_growth_flags(up: argparse.ArgumentParser) -> None:
    growth = up.add_mutually_exclusive_group()
    growth.add_argument(
        "--autoscale",
        type=_bounds,
        dest="groups",
        metavar="MIN:MAX",
        help="have the cluster autoscaler add hosts for pods that fit nowhere, and remove unneeded ones; 0:0 ends it",
    )
    growth.add_argument(
        "--node-groups",
        type=_groups,
        dest="groups",
        metavar="FILE",
        help="the same for several groups of hosts, with labels, taints and sizes of their own",
    )
    up.add_argument(
        "--scale-down-after",
        type=parse_duration,
        metavar="DURATION",
        help="how long a host must be unneeded until it is removed (2m)",
    )


def _add_node_commands(commands: Commands) -> None:
    node = commands.group("node", "add, remove, switch off and cut off worker hosts", "Worker hosts.")
    node.add("list", _node_list, "show the worker hosts")
    add = node.add("add", _node_add, "add a host to the running cluster and wait until it is Ready")
    add.add_argument("node", nargs="?", default="", metavar="NODE", help="by default the lowest free number")
    add.add_argument("--group", default=DEFAULT_GROUP, help="of which it is to be one (%(default)s)")
    for name, act, done, summary in (
        (
            "remove",
            Cluster.remove_node,
            "gone",
            "take a host out of the cluster, with its containers, images and volumes",
        ),
        ("stop", Cluster.stop_node, "off", "switch a host off as if its power was cut: all its processes are killed"),
        ("start", Cluster.start_node, "on", "switch a host on and wait until it is Ready"),
        ("disconnect", Cluster.disconnect_node, "cut off", "pull a host's cable: it goes on, and nobody reaches it"),
        ("connect", Cluster.connect_node, "connected", "put the cable back and wait until the host is Ready"),
        ("restart", _switch_off_and_on, "on again", "switch a host off and on"),
    ):
        action = node.add(name, _node_act, summary)
        action.add_argument("node", metavar="NODE", help="such as worker-1")
        action.set_defaults(act=act, done=done)


def _add_load_commands(commands: Commands) -> None:
    load = commands.group("load", "put images on every node", title="sources")
    archive = load.add("archive", _load_archive, "from an archive that `docker save` wrote")
    archive.add_argument("file", type=Path, metavar="FILE")
    image = load.add("image", _load_image, "from this machine's own container engine")
    image.add_argument("name", metavar="NAME")


def _node_count(text: str) -> int:
    if not text.isdigit() or int(text) > MAX_NODES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MAX_NODES}")
    return int(text)


def _bounds(text: str) -> tuple[HostGroup, ...]:
    least, _, most = text.partition(":")
    if not (least.isdigit() and most.isdigit() and int(least) <= int(most) <= MAX_NODES):
        raise argparse.ArgumentTypeError(f"{text!r} is not MIN:MAX with 0 <= MIN <= MAX <= {MAX_NODES}")
    return (HostGroup(DEFAULT_GROUP, int(least), int(most)),) if int(most) else ()


def _groups(file: str) -> tuple[HostGroup, ...]:
    from mini_cluster.cluster.host_groups import read_groups  # costs other commands 0.1 s

    try:
        return read_groups(Path(file).read_bytes(), offered_resources(Path("/")))
    except OSError as error:
        raise StateError(f"{file}: {error.strerror}") from None


def _up(options: argparse.Namespace, console: Console) -> int:
    cluster = Cluster(options.dir, console)
    console.title(f"Bringing up the cluster in {cluster.layout.root}")
    cluster.up(
        options.nodes,
        api_port=options.api_port or None,
        etcd_members=options.etcd_members,
        ip_family=options.ip_family,
        registry=options.registry,
        cloud=options.cloud,
        groups=options.groups,
        unneeded_seconds=options.scale_down_after,
        proxy_mode=options.proxy_mode,
        overlay=options.overlay,
    )
    state = cluster.state()
    if (joined := state.joined) is not None:
        console.title(f"The worker host {joined.node_name} is up ({console.seconds():.1f} s)")
        return 0
    console.title(f"The cluster is up ({console.seconds():.1f} s). Use it with:")
    console.step(f"  export KUBECONFIG={cluster.layout.kubeconfig}")
    if state.registry_port:
        console.step(f"  docker push {registry_host(state)}/NAME")
    return 0


def _down(options: argparse.Namespace, console: Console) -> int:
    cluster = Cluster(options.dir, console)
    cluster.down(purge=options.purge, at_once=options.now)
    remains = "" if options.purge or not cluster.layout.root.exists() else f" (its data stays in {cluster.layout.root})"
    console.title(f"The cluster is down{remains}")
    return 0


def _status(options: argparse.Namespace, console: Console) -> int:
    view = Cluster(options.dir, console).view()
    if options.output == "json":
        print(json.dumps(dataclasses.asdict(view), indent=2))
    else:
        _print_status(view, Console(sys.stdout))
    return 0 if view.healthy else 1


def _print_status(view: ClusterView, out: Console) -> None:
    supervisor = out.paint("running", GREEN) if view.up else out.paint("not running: `mini-cluster up` repairs", RED)
    out.step(f"server      {view.server}\nsupervisor  {supervisor}\n")
    rows: list[list[Cell]] = []
    for status in view.components:
        colour = GREEN if status.state == READY else RED if not status.pid else YELLOW
        age = human_duration(max(0.0, time.time() - status.started)) if status.started else "-"
        pid = str(status.pid or "-")
        rows.append([status.name, (status.state, colour), pid, str(status.restarts), age, (status.detail, DIM)])
    out.table(("COMPONENT", "STATE", "PID", "RESTARTS", "AGE", ""), rows)
    if view.nodes:
        out.step("")
        _print_nodes(view, out)


def _print_nodes(view: ClusterView, out: Console) -> None:
    rows: list[list[Cell]] = [
        [
            node.name,
            "off" if node.stopped else "disconnected" if node.disconnected else "on",
            (node.ready or "Unknown", GREEN if node.ready == "True" else RED),
            node.address,
            node.pod_cidr,
        ]
        for node in view.nodes
    ]
    out.table(("NODE", "HOST", "READY", "ADDRESS", "PODS"), rows)


def _logs(options: argparse.Namespace, console: Console) -> int:
    layout = Cluster(options.dir, console).layout
    if options.component is None:
        print("\n".join(log_names(layout)))
        return 0
    show_log(layout, options.component, options.tail, follow=options.follow, out=sys.stdout)
    return 0


def _restart(options: argparse.Namespace, console: Console) -> int:
    cluster = Cluster(options.dir, console)
    names = options.components or [
        status.name for status in cluster.view().components if not status.name.startswith("dockerd-")
    ]
    cluster.restart(names)
    console.title(f"Restarted {', '.join(names)}")
    return 0


def _explain_scheduling(options: argparse.Namespace, console: Console) -> int:
    layout = Cluster(options.dir, console).layout
    command = explain_scheduling(layout, find_programs(), f"{options.namespace}/{options.pod}")
    return subprocess.run(command, check=False).returncode


def _node_list(options: argparse.Namespace, console: Console) -> int:
    _print_nodes(Cluster(options.dir, console).view(), Console(sys.stdout))
    return 0


def _node_add(options: argparse.Namespace, console: Console) -> int:
    name = Cluster(options.dir, console).add_node(options.node, options.group)
    console.title(f"{name} is part of the cluster")
    return 0


def _node_act(options: argparse.Namespace, console: Console) -> int:
    options.act(Cluster(options.dir, console), options.node)
    console.title(f"{options.node} is {options.done}")
    return 0


def _switch_off_and_on(cluster: Cluster, node: str) -> None:
    cluster.stop_node(node)
    cluster.start_node(node)


def _load_archive(options: argparse.Namespace, console: Console) -> int:
    _say_loaded(Cluster(options.dir, console).load_archive(options.file), console)
    return 0


def _load_image(options: argparse.Namespace, console: Console) -> int:
    _say_loaded(Cluster(options.dir, console).load_image(options.name), console)
    return 0


def _say_loaded(loaded: dict[str, list[str]], console: Console) -> None:
    for node, messages in loaded.items():
        for message in messages:
            console.good(f"{node}: {message}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when all went well, 1 after an error, 130 after Ctrl-C."""
    try:
        options = parser().parse_args(arguments)
    except LauncherError as error:  # about a file that it names
        Console().error(str(error))
        return 1
    console = Console(quiet=options.quiet)
    run: Run = options.run
    try:
        return run(options, console)
    except LauncherError as error:
        console.error(str(error))
        return 1
    except FileNotFoundError as error:
        console.error(f"{error.filename}: no such file")
        return 1
    except PermissionError as error:
        console.error(f"{error.filename}: not permitted; the cluster may be another user's")
        return 1
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        console.error(
            "interrupted; what was begun goes on (`mini-cluster status` shows it, `mini-cluster down` ends it)"
        )
        return 130
