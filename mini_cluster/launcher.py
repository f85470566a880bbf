"""A cluster on this machine, as the command line, the demonstration and the tests use it."""

from __future__ import annotations

import fcntl
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from apimachinery.text.image_reference import normalize, short_name
from componentbase.host.removal import remove_folder
from mini_cluster.cluster.cloud import inventory, with_cloud, without_taken_ports
from mini_cluster.cluster.components import API_SERVER
from mini_cluster.cluster.etcd_members import etcd_members
from mini_cluster.cluster.families import HOST_SUBNETS, POD_NETWORKS
from mini_cluster.cluster.joined import HOST
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.registry import DEFAULT_PORT as DEFAULT_REGISTRY_PORT
from mini_cluster.cluster.registry import HOSTING, REGISTRY, hosting, registry_config
from mini_cluster.cluster.state import (
    DEFAULT_API_PORT,
    DEFAULT_GROUP,
    DEFAULT_NODES,
    ClusterState,
    HostGroup,
    StateError,
    choose_ports,
    choose_registry_port,
    link_in_the_way,
    load_state,
    port_is_free,
    replace_taken_ports,
    save_state,
    write_atomically,
)
from mini_cluster.console import Console
from mini_cluster.errors import ApiError, ClusterError
from mini_cluster.etcd.operator import EtcdOperationError, EtcdOperator
from mini_cluster.etcd.restore import commit, prepare, raise_revision, take_keys
from mini_cluster.hosts import network as hosts
from mini_cluster.hosts.sweep import sweep_cluster, what_is_left
from mini_cluster.machine.processes import send, snapshot, wait_gone
from mini_cluster.machine.programs import (
    ETCDCTL_REQUIREMENT,
    REGISTRY_REQUIREMENT,
    ensure_cluster_requirements,
    ensure_requirements,
    find_program,
)
from mini_cluster.machine.resources import offered_resources
from mini_cluster.objects.making import making_objects
from mini_cluster.supervision.client import POLL_SECONDS, SHUTDOWN_SECONDS, SupervisorClient
from mini_cluster.supervision.control import NoSupervisor
from mini_cluster.view import ClusterView, NodeView

if TYPE_CHECKING:  # they bring httpx, which costs a command 0.1 s: imported by those that need it
    from mini_cluster.api import AdminApi, NodeFacts
    from mini_cluster.hosts.engine import Engine

UP_SECONDS = 120.0


_FIXED_MEMBERS = """\
this cluster's etcd has {have} member(s), and the number is chosen when a cluster is made. To get {want}, move
the objects:
  mini-cluster etcd snapshot save objects.db
  mini-cluster down --purge
  mini-cluster up --etcd-members {want}
  mini-cluster etcd snapshot restore objects.db"""


_FIXED_FAMILY = """\
this cluster has --ip-family {have}, which is chosen when a cluster is made. To get another, make a new one:
  mini-cluster down --purge"""


_NETWORKS_TAKEN = """\
this cluster has the networks {state.subnet} (hosts) and {state.pod_network} (pods), and while it was down the link
{link} got addresses there. Remove what has that link (for a cluster in another folder: mini-cluster --dir FOLDER down),
or forget this cluster and make a new one in networks that are free:
  mini-cluster down --purge"""


class Cluster:
    """The cluster in `folder`. Operations that change it wait for one another, across processes."""

    def __init__(self, folder: str | Path, console: Console | None = None, *, owner_pid: int = 0) -> None:
        """With `owner_pid` the cluster lives no longer than that process: for tests, which may be killed."""
        self.layout = Layout.of(folder)
        self.console = console or Console(quiet=True)
        self._supervisor = SupervisorClient(self.layout, self.console.component, owner_pid)

    # --- what is there ---

    def state(self) -> ClusterState:
        """Raises: ClusterError when the cluster was never brought up."""
        state = load_state(self.layout.state)
        if state is None:
            raise ClusterError(f"there is no cluster in {self.layout.root}: `mini-cluster up` makes one")
        return state

    def view(self) -> ClusterView:
        """Raises: ClusterError when the cluster was never brought up."""
        state = self.state()
        try:
            components, up = self._supervisor.statuses(), True
        except NoSupervisor:
            components, up = self._supervisor.unsupervised(), False
        facts = self._node_facts(state) if any(s.name == API_SERVER and s.pid for s in components) else {}
        nodes = [
            NodeView(
                node.name,
                ", ".join(state.node_ips(node.index)),
                ", ".join(facts[node.name].pod_cidrs) if node.name in facts else "",
                node.stopped,
                node.disconnected,
                facts[node.name].ready if node.name in facts else "",
            )
            for node in state.nodes
        ]
        server = state.joined.server if state.joined else f"127.0.0.1:{state.ports.api}"
        return ClusterView(up, f"https://{server}", components, nodes)

    def pid(self, component: str) -> int:
        """Returns the process id of a running component. Raises: ClusterError."""
        for status in self.view().components:
            if status.name == component and status.pid:
                return status.pid
        raise ClusterError(f"{component} is not running")

    def supervisor_pid(self) -> int:
        """Returns the process id of the supervisor; 0 when it doesn't run."""
        return self._supervisor.pid()

    def node_addresses(self) -> dict[str, str]:
        """Node name -> IP address."""
        state = self.state()
        return {node.name: state.node_ip(node.index) for node in state.nodes}

    def engine(self, node: str) -> Engine:
        """Returns the container engine of a worker host. Raises: StateError for an unknown node."""
        from mini_cluster.hosts.engine import Engine

        self.state().node(node)
        return Engine(self.layout.node(node).docker_socket)

    def collect_evidence(self, folder: Path) -> None:
        """Fills `folder` with the ends of logs, with objects, and with the state of each worker host."""
        from mini_cluster.evidence import collect

        collect(self.layout, folder)

    # --- what changes it ---

    def up(
        self,
        nodes: int | None = None,
        *,
        api_port: int | None = DEFAULT_API_PORT,
        etcd_members: int | None = None,
        ip_family: str | None = None,
        registry: bool = False,
        cloud: bool = False,
        groups: Sequence[HostGroup] | None = None,
        unneeded_seconds: float | None = None,
        proxy_mode: str | None = None,
        overlay: str | None = None,
    ) -> None:
        """Brings everything up and repairs what is broken; returns when all of it, nodes included, is ready.

        `nodes` is by default what the cluster has, or `DEFAULT_NODES`. `api_port` counts for a new cluster only.
        `etcd_members` is by default what the cluster has, or 1, and `ip_family`, one of IP_FAMILIES, "ipv4". With
        `registry` it has an image registry from now on, with `cloud` or `groups` the local cloud, which adds and
        removes hosts within the bounds of their groups. `proxy_mode` and `overlay` are by default those that
        it has.
        Raises: ClusterError (also for another number of etcd members, or another family, than the cluster has),
        MissingRequirement, StateError, ControlError, MachineCommandError.
        """
        existing = load_state(self.layout.state)
        if existing and existing.joined:
            if nodes is not None or etcd_members is not None or registry or cloud or groups or proxy_mode or overlay:
                existing.require_control_plane()
            with self._locked():
                self._become(existing, existing, time.monotonic() + UP_SECONDS)
            return
        if existing and etcd_members not in (None, len(existing.ports.etcd)):
            raise ClusterError(_FIXED_MEMBERS.format(have=len(existing.ports.etcd), want=etcd_members))
        if existing and ip_family not in (None, existing.ip_family):
            raise ClusterError(_FIXED_FAMILY.format(have=existing.ip_family))
        count = nodes if nodes is not None else len(existing.nodes) if existing else 0 if groups else DEFAULT_NODES
        ensure_cluster_requirements(max(count, len(groups or ())), self.console.step)
        deadline = time.monotonic() + UP_SECONDS
        with self._locked():
            state = (
                self._without_conflicts(existing)
                if existing
                else self._choose(api_port, etcd_members or 1, ip_family or "ipv4")
            )
            if registry or state.registry_port:
                state = self._with_registry(state)
            state = replace(
                state.with_node_count(count),
                proxy_mode=proxy_mode or state.proxy_mode,
                overlay=overlay or state.overlay,
            )
            if cloud or groups is not None or unneeded_seconds is not None:
                state = with_cloud(state, self.layout.key, port_is_free, groups, unneeded_seconds)
            self._become(existing, state, deadline)
            if state.registry_port:
                self._announce_registry(state)

    def down(self, *, purge: bool = False, at_once: bool = False) -> None:
        """Ends everything and leaves nothing on the machine but the cluster's folder, and with `purge` not even that.

        Pods have some seconds to end, unless all goes `at_once`, as it does with `purge`.

        Raises: ClusterError when something could not be removed, SweepError, MachineCommandError.
        """
        if not self.layout.root.exists():
            sweep_cluster(self.layout)
            return
        with self._locked():
            self._supervisor.shut_down(at_once=at_once or purge)
            sweep_cluster(self.layout)
            self._undo_forwarding()
            left = what_is_left(self.layout)
            if left:
                raise ClusterError("could not remove:\n  " + "\n  ".join(left))
            if purge:
                remove_folder(str(self.layout.root))

    def add_node(self, name: str = "", group: str = DEFAULT_GROUP) -> str:
        """Adds a worker host to the running cluster, waits until it is Ready, and returns its name.

        `name` is by default that of the lowest free number. Raises: StateError, and as `up`.
        """
        deadline = time.monotonic() + UP_SECONDS
        with self._locked():
            before = self.state()
            ensure_cluster_requirements(1, self.console.step)
            state = before.with_node(name, group)
            self._become(before, state, deadline)
        return next(node.name for node in state.nodes if node.name not in {node.name for node in before.nodes})

    def remove_node(self, name: str) -> None:
        """Takes a worker host out of the cluster, with its Node, its containers and its disk.

        Of one on another machine it removes the Node alone; `mini-cluster down --purge` there does the rest.
        Raises: StateError or ApiError for an unknown node, and as `up`.
        """
        with self._locked():
            before = self.state()
            if before.join_address and name not in {node.name for node in before.nodes}:
                with self._api(before) as api:
                    api.request("DELETE", f"/api/v1/nodes/{name}")
                return
            self._become(before, before.without_node(name), time.monotonic() + UP_SECONDS)

    def stop_node(self, name: str) -> None:
        """Cuts a worker host's power. Raises: StateError for an unknown node."""
        self._settle(lambda state: state.with_stopped(name, True))

    def start_node(self, name: str) -> None:
        """Switches a worker host on and waits until it is Ready. Raises: StateError for an unknown node."""
        self._settle(lambda state: state.with_stopped(name, False), wait=True)
        self._await_nodes({name}, time.monotonic() + UP_SECONDS)

    def disconnect_node(self, name: str) -> None:
        """Pulls a worker host's cable: all of it goes on, and nobody reaches it. Raises: StateError, also for one that
        is off."""
        self._settle(lambda state: state.with_disconnected(name, True))

    def connect_node(self, name: str) -> None:
        """Puts the cable back and waits until the host is Ready. Raises: StateError, also for one that is off."""
        self._settle(lambda state: state.with_disconnected(name, False))
        self._await_nodes({name}, time.monotonic() + UP_SECONDS)

    def restart(self, components: list[str]) -> None:
        """Ends and starts components, and waits until they are ready. Raises: StateError for an unknown one."""
        with self._locked():
            self._supervisor.perform({"op": "restart", "names": components})

    def kill(self, component: str) -> int:
        """Sends SIGKILL to a component, which the supervisor then restarts; returns the id of the killed process.

        "supervisor" names the supervisor itself. Raises: ClusterError when it isn't running.
        """
        pid = self.supervisor_pid() if component == "supervisor" else self.pid(component)
        processes = snapshot()
        if pid not in processes:
            raise ClusterError(f"{component} is not running")
        send(processes[pid], signal.SIGKILL)
        wait_gone([processes[pid]], SHUTDOWN_SECONDS)
        return pid

    def load_archive(self, archive: Path) -> dict[str, list[str]]:
        """Loads a `docker save` archive onto every node that is on and lacks what is in it.

        Returns what each node's engine did, by node. Raises: ClusterError, HostEngineError, OSError.
        """
        from mini_cluster.hosts.loading import archive_images, bring

        wanted = archive_images(archive)
        what = ", ".join(name for image in wanted for name in image.names) or archive.name
        loaded = {}
        for name, engine in self._running_engines().items():
            loaded[name] = bring(engine, archive, wanted, partial(self.console.progress, f"{name}: {what}"))
        return loaded

    def load_image(self, image: str) -> dict[str, list[str]]:
        """Copies an image from the machine's own engine onto every node that is on and lacks it.

        Raises: as `load_archive`.
        """
        from mini_cluster.hosts.engine import Engine, host_engine_socket
        from mini_cluster.hosts.loading import Image, engine_images, lack, name_images

        source, engines = Engine(host_engine_socket()), self._running_engines()
        id = source.image_id(image)
        wanted = [Image(id, () if "@" in image or id.startswith(image) else (short_name(normalize(image)),))]
        lacks = {name: lack(wanted, engine_images(engine)) for name, engine in engines.items()}
        if not any(missing.images for missing in lacks.values()):
            return {name: name_images(engines[name], wanted, missing) for name, missing in lacks.items()}
        with tempfile.NamedTemporaryFile(prefix="mini-cluster-image-") as file:
            source.save(image, file)
            file.flush()
            return self.load_archive(Path(file.name))

    def _running_engines(self) -> dict[str, Engine]:
        """Returns the engines of the nodes that are on. Raises: ClusterError when none is."""
        from mini_cluster.hosts.engine import Engine

        state = self.state()
        running = [HOST.name] if state.joined else [node.name for node in state.nodes if not node.stopped]
        if not running:
            raise ClusterError("this cluster has no node that is on, so there is nowhere to load the image")
        return {name: Engine(self.layout.node(name).docker_socket) for name in running}

    def etcd(self) -> EtcdOperator:
        """Returns the operations on the cluster's etcd.

        Raises: ClusterError when the cluster was never brought up, StateError on a machine that has joined.
        """
        state = self.state()
        state.require_control_plane()
        return EtcdOperator(self.layout, state)

    def restore_snapshot(self, snapshot: Path) -> None:
        """Replaces all objects by those of a snapshot, and brings the cluster up.

        Everything that has seen the old objects is restarted; containers run on, and go if no restored object has them.
        Raises: ClusterError, RestoreError (the cluster is as before), MissingRequirement, and as `up`.
        """
        with self._locked():
            self.state().require_control_plane()
            state = self._without_conflicts(self.state())
            if not find_program("etcdutl"):
                ensure_requirements([ETCDCTL_REQUIREMENT], self.console.step)
            operator, members = EtcdOperator(self.layout, state), etcd_members(self.layout, state)
            prepared = prepare(self.layout, members, snapshot)
            newest_revision = 0
            with suppress(EtcdOperationError):
                newest_revision = operator.revision()
            self._begin(state)
            take_keys(self.layout, snapshot, self.console.warning)
            self._supervisor.perform({"op": "stop"})
            commit(self.layout, prepared)
            self._supervisor.perform({"op": "start", "names": [member.component for member in members]})
            raise_revision(operator, newest_revision, self.console.warning)
        self.up()

    # --- how ---

    def _become(self, before: ClusterState | None, state: ClusterState, deadline: float) -> None:
        """Makes the cluster agree with the state, and waits until the nodes that are on are Ready."""
        if state.nodes and state.cloud is None:
            state = with_cloud(state, self.layout.key, port_is_free, hosts=False)
        if state.has_networks and not (before and before.has_networks):
            state = hosts.claim_networks(self.layout, state)
        if state.has_networks and hosts.enable_forwarding():
            state = state.with_forwarding_enabled()
        self._begin(state)
        with making_objects(self._api, state, deadline, self.layout.loopback):
            self._supervisor.perform({"op": "apply"})
        self._forget_nodes(before, state)
        self._await_nodes({node.name for node in state.nodes if node.in_use}, deadline)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.layout.root.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _without_conflicts(self, state: ClusterState) -> ClusterState:
        """Returns the state with other ports where something else took them while the cluster was down.

        Raises: ClusterError when something else has come to use its networks; pods' addresses can't be changed.
        """
        if any(process.cluster == self.layout.key for process in snapshot().values()):
            return state
        if state.nodes and (link := link_in_the_way(state, hosts.networks_of_machine(), self.layout.bridge)):
            raise ClusterError(_NETWORKS_TAKEN.format(state=state, link=link))
        ports = replace_taken_ports(state.ports, self.layout.key, port_is_free)
        if ports.api != state.ports.api:
            self.console.warning(f"port {state.ports.api} was taken meanwhile; the API server now has {ports.api}")
        return without_taken_ports(replace(state, ports=ports), self.layout.key, port_is_free)

    def _choose(self, api_port: int | None, etcd_members: int, ip_family: str) -> ClusterState:
        ports = choose_ports(self.layout.key, api_port, port_is_free, etcd_members)
        if api_port not in (None, ports.api):
            self.console.warning(f"port {api_port} is in use; the API server has {ports.api}")
        # Its networks are chosen anew when it gets its first worker host.
        subnet, pod_network = str(HOST_SUBNETS[4][0]), str(POD_NETWORKS[4][0])
        return ClusterState(subnet, pod_network, ports, ip_family=ip_family)

    def _with_registry(self, state: ClusterState) -> ClusterState:
        """Returns the state with a port for the registry; one that runs keeps its own. Raises: MissingRequirement."""
        ensure_requirements([REGISTRY_REQUIREMENT], self.console.step)
        wanted = state.registry_port or DEFAULT_REGISTRY_PORT
        if any(process.component == REGISTRY for process in snapshot().values() if process.cluster == self.layout.key):
            return state
        port = choose_registry_port(state.ports, self.layout.key, wanted, port_is_free)
        if port != wanted:
            self.console.warning(f"port {wanted} is in use; the registry has {port}")
        return replace(state, registry_port=port)

    def _announce_registry(self, state: ClusterState) -> None:
        """Tells tools that build images where the registry is."""
        config_map = hosting(state)
        with self._api(state) as api:
            try:
                api.request("POST", HOSTING, config_map)
            except ApiError:
                api.request("PUT", f"{HOSTING}/{config_map['metadata']['name']}", config_map)

    def _begin(self, state: ClusterState) -> None:
        """Saves the state, and makes sure that certificates and a running supervisor agree with it."""
        self._save(state)
        self._supervisor.start()
        self._write_identities(state)
        if state.registry_port:
            self.layout.registry_config.write_text(registry_config(self.layout, state))
        self._supervisor.await_start()

    def _save(self, state: ClusterState) -> None:
        """Saves the state, and tells the local cloud."""
        save_state(self.layout.state, state)
        if state.cloud:
            resources = offered_resources(self.layout.root)
            write_atomically(self.layout.inventory, inventory(self.layout, state, resources))

    def _write_identities(self, state: ClusterState) -> None:
        """Certificates and kubeconfigs. They are imported here because the library costs other commands 0.1 s."""
        if state.joined is not None:
            return  # its kubelet has asked for them
        from mini_cluster.pki.certificates import ensure
        from mini_cluster.pki.encryption import ensure_encryption
        from mini_cluster.pki.identities import cluster_certificates
        from mini_cluster.pki.kubeconfig import write_cluster_kubeconfigs

        remade = ensure(self.layout.pki, cluster_certificates(state, socket.gethostname()), datetime.now(UTC))
        ensure_encryption(self.layout.encryption_config)
        write_cluster_kubeconfigs(self.layout, state)
        if remade:
            self.console.good(f"{len(remade)} certificates made")

    def _settle(self, change: Callable[[ClusterState], ClusterState], *, wait: bool = False) -> None:
        """Makes the hosts agree with a changed state; with `wait` until all that runs is ready."""
        with self._locked():
            self._save(change(self.state()))
            self._supervisor.start()
            self._supervisor.await_start()
            self._supervisor.perform({"op": "apply", "wait": wait})

    def _forget_nodes(self, before: ClusterState | None, state: ClusterState) -> None:
        """Removes the objects and the disks of nodes that the cluster no longer has."""
        remaining = {node.name for node in state.nodes}
        gone = [node.name for node in (before.nodes if before else ()) if node.name not in remaining]
        for name in gone:
            with self._api(state) as api, suppress(ApiError):
                api.request("DELETE", f"/api/v1/nodes/{name}")
            with suppress(OSError):
                remove_folder(str(self.layout.node(name).root))

    def _await_nodes(self, names: set[str], deadline: float) -> None:
        """Waits until every one of these nodes is Ready. Raises: ClusterError."""
        if not names:
            return
        state = self.state()
        missing = set(names)
        with self._api(state) as api:
            while missing:
                with suppress(ApiError):
                    ready = {name for name, facts in api.nodes().items() if facts.ready == "True"}
                    for name in sorted(missing & ready):
                        self.console.good(f"node {name} is Ready")
                        missing.discard(name)
                if missing and time.monotonic() > deadline:
                    raise ClusterError(f"not Ready in time: {', '.join(sorted(missing))}")
                if missing:
                    time.sleep(POLL_SECONDS)

    @contextmanager
    def _api(self, state: ClusterState) -> Iterator[AdminApi]:
        from mini_cluster.api import AdminApi

        api = AdminApi.local(self.layout, state.ports.api)
        try:
            yield api
        finally:
            api.close()

    def _node_facts(self, state: ClusterState) -> dict[str, NodeFacts]:
        with suppress(ApiError, OSError):
            with self._api(state) as api:
                return api.nodes()
        return {}

    def _undo_forwarding(self) -> None:
        with suppress(StateError):
            state = load_state(self.layout.state)
            if state is not None and state.forwarding_enabled:
                hosts.disable_forwarding()
                save_state(self.layout.state, state.with_forwarding_enabled(False))
