"""Makes the metrics at /metrics/cadvisor, with the names and labels that dashboards ask for. Pure.

Each row of the tables is one series of every container. A pod's network stands on the row of its sandbox, whose
`container` is "" and whose `image` is the pause image; the whole machine is the row with the id "/".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kubelet.stats.cgroups import CoreUsage, DetailedUsage, Pressure, ProcessCounts
from kubelet.stats.exposition import Exposition, label_text
from kubelet.stats.figures import ContainerFigures, GroupFigures, NodeFigures, PodFigures, Snapshot
from kubelet.stats.host import Interface

NANO, MICRO = 1e9, 1e6


@dataclass(frozen=True, slots=True)
class Identity:
    """The labels of all series of one container."""

    id: str
    container: str = ""
    pod: str = ""
    namespace: str = ""
    name: str = ""
    image: str = ""

    def labels(self, **more: str) -> str:
        fields = ("id", "container", "pod", "namespace", "name", "image")
        return label_text({field: getattr(self, field) for field in fields} | more)


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The machine, for the machine_… metrics and the version."""

    cpus: int
    memory_bytes: int
    machine_id: str
    boot_id: str
    system_uuid: str
    kernel: str
    os_image: str
    runtime_version: str
    version: str
    pause_image: str


CORE: tuple[tuple[str, str, str, Callable[[CoreUsage], int]], ...] = (
    ("memory_usage_bytes", "gauge", "Current memory usage in bytes, with all caches.", lambda u: u.memory_bytes),
    ("memory_working_set_bytes", "gauge", "Current working set in bytes.", lambda u: u.working_set_bytes),
    ("memory_rss", "gauge", "Size of RSS in bytes.", lambda u: u.rss_bytes),
    ("memory_cache", "gauge", "Number of bytes of page cache memory.", lambda u: u.cache_bytes),
    ("memory_mapped_file", "gauge", "Size of memory mapped files in bytes.", lambda u: u.mapped_file_bytes),
    ("memory_swap", "gauge", "Container swap usage in bytes.", lambda u: u.swap_bytes),
)
DETAILS: tuple[tuple[str, str, str, Callable[[DetailedUsage], float]], ...] = (
    ("cpu_user_seconds_total", "counter", "CPU time in user mode.", lambda d: d.cpu_user_nanoseconds / NANO),
    ("cpu_system_seconds_total", "counter", "CPU time in the kernel.", lambda d: d.cpu_system_nanoseconds / NANO),
    ("memory_max_usage_bytes", "gauge", "Highest memory usage so far.", lambda d: d.memory_peak_bytes),
    ("memory_failcnt", "counter", "Number of times memory met its limit.", lambda d: d.memory_limit_hits),
    ("oom_events_total", "counter", "Count of out of memory events.", lambda d: d.oom_kills),
    ("threads", "gauge", "Number of threads inside the container.", lambda d: d.threads),
    ("threads_max", "gauge", "Maximum number of threads, infinity if it is zero.", lambda d: d.threads_limit),
    ("spec_cpu_shares", "gauge", "CPU share of the container.", lambda d: d.cpu_shares),
    ("spec_memory_limit_bytes", "gauge", "Memory limit of the container.", lambda d: d.memory_limit_bytes),
    ("spec_memory_reservation_limit_bytes", "gauge", "Memory reservation.", lambda d: d.memory_reservation_bytes),
    ("spec_memory_swap_limit_bytes", "gauge", "Memory swap limit of the container.", lambda d: d.swap_limit_bytes),
)
QUOTA: tuple[tuple[str, str, str, Callable[[DetailedUsage], float]], ...] = (
    ("spec_cpu_period", "gauge", "CPU period of the container, in microseconds.", lambda d: d.cpu_period_us),
    ("spec_cpu_quota", "gauge", "CPU quota of the container, in microseconds.", lambda d: d.cpu_quota_us),
    ("cpu_cfs_periods_total", "counter", "Number of elapsed enforcement periods.", lambda d: d.periods),
    ("cpu_cfs_throttled_periods_total", "counter", "Number of throttled periods.", lambda d: d.throttled_periods),
    ("cpu_cfs_throttled_seconds_total", "counter", "Time throttled.", lambda d: d.throttled_nanoseconds / NANO),
)
"""Series of those that have a CPU limit."""
PROCESSES: tuple[tuple[str, str, Callable[[ProcessCounts], int]], ...] = (
    ("processes", "Number of processes running inside the container.", lambda p: p.processes),
    ("file_descriptors", "Number of open file descriptors for the container.", lambda p: p.file_descriptors),
    ("sockets", "Number of open sockets for the container.", lambda p: p.sockets),
)
NETWORK: tuple[tuple[str, Callable[[Interface], int]], ...] = (
    ("receive_bytes_total", lambda i: i.rx_bytes),
    ("receive_packets_total", lambda i: i.rx_packets),
    ("receive_errors_total", lambda i: i.rx_errors),
    ("receive_packets_dropped_total", lambda i: i.rx_dropped),
    ("transmit_bytes_total", lambda i: i.tx_bytes),
    ("transmit_packets_total", lambda i: i.tx_packets),
    ("transmit_errors_total", lambda i: i.tx_errors),
    ("transmit_packets_dropped_total", lambda i: i.tx_dropped),
)


def cadvisor_metrics(snapshot: Snapshot, machine: MachineFacts) -> bytes:
    out = Exposition()
    node = snapshot.node
    _machine(out, node, machine)
    root = Identity("/")
    _group(out, root, GroupFigures(node.time, node.host.core), node.host.boot_time)
    _network(out, root, node.host.interfaces, node.time)
    _pressures(out, root, node.host.pressure, node.time)
    for pod in snapshot.pods:
        _pod(out, pod, machine.pause_image)
        for item in pod.containers:
            _container(out, pod, item, node)
    out.add("container_scrape_error", "gauge", "1 if there was an error while getting container metrics.", "", 0)
    return out.render()


def _machine(out: Exposition, node: NodeFigures, machine: MachineFacts) -> None:
    ids = {"machine_id": machine.machine_id, "boot_id": machine.boot_id, "system_uuid": machine.system_uuid}
    rows = (
        ("machine_cpu_cores", "Number of logical CPU cores.", machine.cpus),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", machine.memory_bytes),
        ("machine_swap_bytes", "Amount of swap memory available on the machine.", node.host.swap_total_bytes),
    )
    for name, help, value in rows:
        out.add(name, "gauge", help, label_text(ids), value)
    versions = {
        "cadvisorRevision": "",
        "cadvisorVersion": machine.version,
        "dockerVersion": machine.runtime_version,
        "kernelVersion": machine.kernel,
        "osVersion": machine.os_image,
    }
    out.add("cadvisor_version_info", "gauge", "Always 1; the versions are labels.", label_text(versions), 1)


def _pod(out: Exposition, pod: PodFigures, pause_image: str) -> None:
    """Adds the row of the sandbox, which has what the whole pod uses."""
    group = pod.sandbox_group
    if pod.sandbox is None or group is None:
        return
    identity = Identity(group.path, "", pod.pod.name, pod.pod.namespace, pod.sandbox.id, pause_image)
    whole = GroupFigures(group.time, pod.core(), group.nano_cores, group.path, processes=group.processes)
    _group(out, identity, whole, pod.sandbox.created_at)
    _network(out, identity, pod.interfaces, group.time)


def _container(out: Exposition, pod: PodFigures, item: ContainerFigures, node: NodeFigures) -> None:
    status = item.status
    path = item.group.path or f"/{status.id}"
    identity = Identity(path, status.name, pod.pod.name, pod.pod.namespace, status.id, status.image)
    _group(out, identity, item.group, status.started_at)
    filesystem = node.imagefs or node.nodefs
    if item.writable is not None:
        device = identity.labels(device=str(filesystem.device))
        time = item.group.time
        used = item.writable.bytes + (item.logs.bytes if item.logs is not None else 0)
        for name, help, value in (
            ("container_fs_usage_bytes", "Bytes that are consumed by the container on this filesystem.", used),
            ("container_fs_limit_bytes", "Bytes that the container could use.", filesystem.capacity_bytes),
            ("container_fs_inodes_total", "Number of inodes.", filesystem.inodes),
            ("container_fs_inodes_free", "Number of available inodes.", filesystem.inodes_free),
        ):
            out.add(name, "gauge", help, device, value, time)


def _group(out: Exposition, identity: Identity, group: GroupFigures, started_at: float) -> None:
    labels, core, details, time = identity.labels(), group.core, group.detailed, group.time
    help = "Cumulative cpu time consumed in seconds."
    total = identity.labels(cpu="total")
    out.add("container_cpu_usage_seconds_total", "counter", help, total, core.cpu_nanoseconds / NANO, time)
    for name, kind, help, read_core in CORE:
        out.add(f"container_{name}", kind, help, labels, read_core(core), time)
    help = "Cumulative count of memory allocation failures."
    for failure, count in (("pgfault", core.page_faults), ("pgmajfault", core.major_page_faults)):
        more = identity.labels(failure_type=failure, scope="container")
        out.add("container_memory_failures_total", "counter", help, more, count, time)
    help = "Start time of the container since unix epoch in seconds."
    out.add("container_start_time_seconds", "gauge", help, labels, started_at, time)
    out.add("container_last_seen", "gauge", "Last time the container was seen.", labels, int(time), time)
    if group.processes is not None:
        for name, help, read_count in PROCESSES:
            out.add(f"container_{name}", "gauge", help, labels, read_count(group.processes), time)
    if details is None:
        return
    for name, kind, help, read in (*DETAILS, *(QUOTA if details.cpu_quota_us else ())):
        out.add(f"container_{name}", kind, help, labels, read(details), time)
    for item in details.io:
        device = identity.labels(device=item.device)
        for name, value in (
            ("reads_bytes_total", item.read_bytes),
            ("writes_bytes_total", item.write_bytes),
            ("reads_total", item.reads),
            ("writes_total", item.writes),
        ):
            out.add(f"container_fs_{name}", "counter", f"Cumulative count of {name}.", device, value, time)
    _pressures(out, identity, details.pressure, time)


def _network(out: Exposition, identity: Identity, interfaces: tuple[Interface, ...], time: float) -> None:
    for interface in interfaces:
        labels = identity.labels(interface=interface.name)
        for name, read in NETWORK:
            help = f"Cumulative count of {name.removesuffix('_total').replace('_', ' ')}."
            out.add(f"container_network_{name}", "counter", help, labels, read(interface), time)


def _pressures(
    out: Exposition, identity: Identity, pressure: Mapping[str, Mapping[str, Pressure]], time: float
) -> None:
    labels = identity.labels()
    for kind, shares in pressure.items():
        for share, word in (("some", "waiting"), ("full", "stalled")):
            if share in shares:
                name = f"container_pressure_{kind}_{word}_seconds_total"
                help = f"Total time that {'all' if share == 'full' else 'some'} tasks waited for {kind}."
                out.add(name, "counter", help, labels, shares[share].total_us / MICRO, time)
